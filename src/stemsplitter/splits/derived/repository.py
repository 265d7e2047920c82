"""Queries of derived files. Each update is conditional on the state that the row must still have."""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, delete, func, select, update
from sqlalchemy.orm import Session, aliased

from stemsplitter import account_ids
from stemsplitter.clock import now
from stemsplitter.database import new_id, paging
from stemsplitter.splits.derived.content import BACKGROUND, MEASUREMENT, MIX, PREVIEWS, Content
from stemsplitter.splits.derived.models import PREVIEWS_PREFIX, PROCESSING, QUEUED, UNFINISHED, DerivedFile
from stemsplitter.splits.models import Split

# literal values, so that a database can use the partial index
_IS_UNFINISHED = DerivedFile.status.in_(bindparam(None, UNFINISHED, expanding=True, literal_execute=True))


_PREFIXES = {MIX: "mix", PREVIEWS: PREVIEWS_PREFIX}
_IS_BACKGROUND = DerivedFile.kind.in_(BACKGROUND)


def add(session: Session, split: Split, content: Content, expires_at: datetime) -> DerivedFile:
    """Queue the file of a content, of which the split has none."""
    file = DerivedFile(
        id=new_id(_PREFIXES.get(content.kind, "file")),
        split_id=split.id,
        account_id=split.account_id,
        kind=content.kind,
        content=content.dump(),
        digest=content.digest,
        status=QUEUED,
        attempts=0,
        created_at=now(),
        expires_at=expires_at,
    )
    session.add(file)
    session.flush()
    return file


def find(session: Session, file_id: str) -> DerivedFile | None:
    """Return the file with that id."""
    return session.get(DerivedFile, file_id, populate_existing=True)


def of_content(session: Session, split_id: str, digest: str) -> DerivedFile | None:
    """Return the split's file with that content."""
    query = select(DerivedFile).where(DerivedFile.split_id == split_id, DerivedFile.digest == digest)
    return session.scalar(query.execution_options(populate_existing=True))


def mixes(
    session: Session, split_id: str, *, limit: int, cursor: str | None
) -> tuple[Sequence[DerivedFile], str | None]:
    """Return a page of the split's mixes."""
    of_split = select(DerivedFile).where(DerivedFile.split_id == split_id, DerivedFile.kind == MIX)
    order = (DerivedFile.created_at, DerivedFile.id)
    return paging.page(session, of_split, order, limit=limit, cursor=cursor)


def count_unfinished(session: Session, account_id: str) -> int:
    """Count the account's requested files that are not made yet."""
    own = DerivedFile.account_id.in_(account_ids.both(account_id))
    query = select(func.count()).where(own, _IS_UNFINISHED, ~_IS_BACKGROUND)
    return session.scalar(query) or 0


def of_split(session: Session, split_id: str) -> Sequence[DerivedFile]:
    """Return the split's requested files, those that expire first at the beginning."""
    query = select(DerivedFile).where(DerivedFile.split_id == split_id, ~_IS_BACKGROUND)
    return session.scalars(query.order_by(DerivedFile.expires_at, DerivedFile.id)).all()


def next_queued(session: Session, *, background: bool = False) -> str | None:
    """Return the id of the next queued file: the oldest of the account with the fewest that are being made and, of
    several such accounts, of the one that has waited longest since its last one was made.

    In the ``background`` these are previews, and measurements when there are none.
    """
    return session.scalar(_next_query(background))


# an idle worker asks it six times a second, and making it takes longer than running it
@cache
def _next_query(background: bool) -> Select[str]:
    running, last = aliased(DerivedFile), aliased(DerivedFile)
    running_count = (
        select(func.count())
        .where(running.account_id == DerivedFile.account_id, running.status == PROCESSING)
        .scalar_subquery()
    )
    last_made = (
        select(last.finished_at)
        .where(last.account_id == DerivedFile.account_id, last.finished_at.is_not(None))
        .where(last.kind.in_(BACKGROUND) if background else last.kind.not_in(BACKGROUND))
        .order_by(last.finished_at.desc())
        .limit(1)
        .scalar_subquery()
    )
    is_kind = _IS_BACKGROUND if background else ~_IS_BACKGROUND
    query = select(DerivedFile.id).where(_IS_UNFINISHED, DerivedFile.status == QUEUED, is_kind)
    order = (
        DerivedFile.kind == MEASUREMENT,
        running_count,
        last_made.nulls_first(),
        DerivedFile.created_at,
        DerivedFile.id,
    )
    return query.order_by(*order).limit(1)


def start(session: Session, file_id: str, lease: str, worker_id: str) -> DerivedFile | None:
    """Give the run ``lease`` a queued file; None if it is no longer queued."""
    values = {
        "status": PROCESSING,
        "lease": lease,
        "worker_id": worker_id,
        "attempts": DerivedFile.attempts + 1,
    }
    queued = (DerivedFile.id == file_id, DerivedFile.status == QUEUED)
    return find(session, file_id) if _change(session, queued, values) else None


def end(session: Session, file_id: str, lease: str, values: dict[str, Any]) -> bool:
    """End a run with ``values``; False if it has lost its lease."""
    leased = (DerivedFile.id == file_id, DerivedFile.status == PROCESSING, DerivedFile.lease == lease)
    return _change(session, leased, {"lease": None, "worker_id": None, **values})


def running(session: Session) -> Sequence[Any]:
    """Return ``id``, ``lease`` and ``worker_id`` of the files that are being made."""
    query = select(DerivedFile.id, DerivedFile.lease, DerivedFile.worker_id)
    return session.execute(query.where(_IS_UNFINISHED, DerivedFile.status == PROCESSING)).all()


def expired(session: Session, limit: int) -> Sequence[DerivedFile]:
    """Return at most ``limit`` finished files past their retention."""
    query = select(DerivedFile).where(DerivedFile.expires_at < now(), DerivedFile.status.not_in(UNFINISHED))
    return session.scalars(query.order_by(DerivedFile.expires_at).limit(limit)).all()


def extend(session: Session, file_id: str, expires_at: datetime) -> None:
    """Keep a file until ``expires_at``."""
    _change(session, (DerivedFile.id == file_id,), {"expires_at": expires_at})


def existing(session: Session, file_ids: Collection[str]) -> set[str]:
    """Return those of the ids that exist."""
    return set(session.scalars(select(DerivedFile.id).where(DerivedFile.id.in_(file_ids))))


def remove(session: Session, file: DerivedFile) -> bool:
    """Delete the row of a finished file; False if it has changed."""
    unchanged = (
        DerivedFile.id == file.id,
        DerivedFile.status.not_in(UNFINISHED),
        DerivedFile.expires_at == file.expires_at,
    )
    query = delete(DerivedFile).where(*unchanged).returning(DerivedFile.id)
    return session.scalar(query, execution_options={"synchronize_session": False}) is not None


def remove_all(session: Session, split_id: str) -> None:
    """Delete the rows of a split's files."""
    query = delete(DerivedFile).where(DerivedFile.split_id == split_id)
    session.execute(query, execution_options={"synchronize_session": False})


def _change(session: Session, condition: tuple[ColumnElement[bool], ...], values: dict[str, Any]) -> bool:
    changed = update(DerivedFile).where(*condition).values(values).returning(DerivedFile.id)
    found = session.scalar(changed, execution_options={"synchronize_session": False}) is not None
    session.expire_all()  # loaded objects are stale
    return found
