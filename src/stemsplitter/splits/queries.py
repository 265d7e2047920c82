"""What the operator sees of all accounts' splits."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from stemsplitter.service_errors import InvalidCursor
from stemsplitter.splits import repository
from stemsplitter.splits.models import FAILED, Split


def queue(session: Session, limit: int) -> Sequence[Split]:
    """At most ``limit`` of the splits that run, and then of those that wait, each the oldest first."""
    return repository.waiting(session, limit)


def failures(
    session: Session, *, limit: int, cursor: str | None = None, code: str | None = None
) -> tuple[Sequence[Split], str | None]:
    """A page of the failed splits, all or those of one code, what failed last first, and the cursor of the next page.

    Raises:
        InvalidCursor: the cursor is none of this list.
    """
    before = None if cursor is None else repository.find(session, cursor)
    if cursor is not None and (before is None or before.status != FAILED):
        raise InvalidCursor
    found = repository.failed(session, limit=limit + 1, before=before, code=code)
    return found[:limit], found[limit - 1].id if len(found) > limit else None


def failures_by_code(session: Session, since: datetime) -> dict[str, int]:
    """How many splits failed since then, by the code of why, the most frequent first."""
    return repository.failures_by_code(session, since)
