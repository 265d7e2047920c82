"""What the operator sees of all accounts' splits."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from stemsplitter.splits import repository
from stemsplitter.splits.models import Split


def queue(session: Session, limit: int) -> Sequence[Split]:
    """At most ``limit`` of the splits that run, and then of those that wait, each the oldest first."""
    return repository.waiting(session, limit)


def failures(
    session: Session, *, limit: int, cursor: str | None = None, code: str | None = None
) -> tuple[Sequence[Split], str | None]:
    """A page of the failed splits, all or those with one code, and the next cursor.

    See :func:`~stemsplitter.database.paging.page`.
    """
    return repository.failed(session, limit=limit, cursor=cursor, code=code)


def failures_by_code(session: Session, since: datetime) -> dict[str, int]:
    """How many splits failed since then, by the code of why, the most frequent first."""
    return repository.failures_by_code(session, since)
