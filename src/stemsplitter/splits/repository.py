"""Queries of splits. Each update is conditional on the state that the split must still have."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, case, func, literal, select, update
from sqlalchemy.orm import Session

from stemsplitter.clock import now
from stemsplitter.database import UtcDateTime, is_one_of, paging
from stemsplitter.splits.models import (
    FAILED,
    IS_PROCESSING,
    IS_UNFINISHED,
    PROCESSING,
    QUEUED,
    SHOWN,
    UNFINISHED,
    Split,
)


def find(session: Session, split_id: str, *, lock: bool = False) -> Split | None:
    """Return the split with that id; with ``lock``, lock its row until the transaction ends."""
    return session.get(Split, split_id, with_for_update=lock or None)


def owned(session: Session, account_id: str, split_id: str) -> Split | None:
    """Return the account's split with that id, unless it was deleted."""
    query = select(Split).where(
        Split.id == split_id, Split.account_id == account_id, Split.deleted_at.is_(None)
    )
    return session.scalar(query)


def shown(session: Session, split_ids: Collection[str]) -> dict[tuple[str, str], Row[Any]]:
    """Return the columns that clients see of splits that were not deleted, by account and id."""
    query = select(Split.account_id, *(getattr(Split, name) for name in SHOWN))
    query = query.where(is_one_of(session, Split.id, split_ids), Split.deleted_at.is_(None))
    return {(row.account_id, row.id): row for row in session.execute(query)}


def page(
    session: Session, account_id: str, *, limit: int, cursor: str | None, status: str | None
) -> tuple[Sequence[Split], str | None]:
    """Return a page of the account's splits; the cursor may be a split that was deleted since."""
    own = select(Split).where(Split.account_id == account_id)
    only: list[ColumnElement[bool]] = [Split.deleted_at.is_(None)]
    if status is not None:
        only.append(Split.status == status)
    return paging.page(session, own, (Split.created_at, Split.id), limit=limit, cursor=cursor, only=only)


def states(session: Session, account_id: str, split_ids: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Return status and progress of those of the splits that belong to the account."""
    query = select(Split.id, Split.status, Split.progress).where(
        Split.id.in_(split_ids), Split.account_id == account_id, Split.deleted_at.is_(None)
    )
    return {split_id: (status, progress) for split_id, status, progress in session.execute(query)}


def count_unfinished(session: Session, account_id: str) -> int:
    """Count the account's splits that are queued or running."""
    query = select(func.count()).where(Split.account_id == account_id, IS_UNFINISHED)
    return session.scalar(query) or 0


def unfinished(session: Session, limit: int) -> Sequence[Split]:
    """Return at most ``limit`` splits of all accounts: running ones, then queued ones, each oldest first."""
    running_first = case((Split.status == PROCESSING, 0), else_=1)
    query = select(Split).where(IS_UNFINISHED)
    return session.scalars(query.order_by(running_first, Split.created_at, Split.id).limit(limit)).all()


def failed(
    session: Session, *, limit: int, cursor: str | None = None, code: str | None = None
) -> tuple[Sequence[Split], str | None]:
    """Return a page of the failed splits of all accounts, latest first, optionally of one error code.

    Deleted splits are included.
    """
    failed = select(Split).where(Split.status == FAILED, Split.finished_at.is_not(None))
    only = [] if code is None else [Split.error_code == code]
    return paging.page(session, failed, (Split.finished_at, Split.id), limit=limit, cursor=cursor, only=only)


def failures_by_code(session: Session, since: datetime) -> dict[str, int]:
    """Count the splits of all accounts that failed since then, by error code, most frequent first."""
    query = (
        select(Split.error_code, func.count())
        .where(Split.status == FAILED, Split.finished_at >= since)
        .group_by(Split.error_code)
        .order_by(func.count().desc(), Split.error_code)
    )
    return {code or "": count for code, count in session.execute(query)}


def start(
    session: Session, split_id: str, previous: str | None, lease: str, worker_id: str | None
) -> Split | None:
    """Give the run ``lease`` a queued split, or the split of the run ``previous``; None if that has changed."""
    at = now()
    values = {
        "status": PROCESSING,
        "lease": lease,
        "worker_id": worker_id,
        "attempts": Split.attempts + 1,
        "started_at": func.coalesce(Split.started_at, literal(at, UtcDateTime)),
        "updated_at": at,
    }
    queued = and_(Split.id == split_id, Split.status == QUEUED)
    condition = queued if previous is None else _leased(split_id, previous)
    return find(session, split_id) if _change(session, condition, values) else None


def advance(session: Session, split_id: str, lease: str, progress: int) -> bool:
    """Raise the progress, never lower it; False if the run has lost its lease."""
    higher = case((Split.progress < progress, progress), else_=Split.progress)
    return _change(session, _leased(split_id, lease), {"progress": higher, "updated_at": now()})


def has_lease(session: Session, split_id: str, lease: str) -> bool:
    """Return true if the run still has its lease."""
    return session.scalar(select(Split.id).where(_leased(split_id, lease))) is not None


def release(session: Session, split_id: str, lease: str) -> bool:
    """Requeue the split without counting this attempt; False if the run has lost its lease."""
    return _change(session, _leased(split_id, lease), {**_queued(), "attempts": Split.attempts - 1})


def requeue(session: Session, split_id: str, lease: str | None) -> bool:
    """Requeue the split and count this attempt; False if the run has lost its lease."""
    return _change(session, _leased(split_id, lease), _queued())


def finish(session: Session, split_id: str, lease: str | None, values: dict[str, Any]) -> Split | None:
    """End an unfinished split with ``values``; None if it has ended, or the run ``lease`` has lost its lease."""
    condition = _unfinished(split_id) if lease is None else _leased(split_id, lease)
    at = now()
    values = {**values, "lease": None, "worker_id": None, "updated_at": at, "finished_at": at}
    return find(session, split_id) if _change(session, condition, values) else None


def set_levels(session: Session, split_id: str, levels: dict[str, dict[str, Any]]) -> None:
    """Set the levels of the stems of a finished split."""
    _change(session, Split.id == split_id, {"levels": levels})


def mark_deleted(session: Session, split_id: str) -> bool:
    """Mark a finished split as deleted; False if it is unfinished or was deleted before."""
    finished = and_(Split.id == split_id, Split.status.not_in(UNFINISHED), Split.deleted_at.is_(None))
    return _change(session, finished, {"deleted_at": now()})


def expired(session: Session, limit: int) -> Sequence[Split]:
    """Return at most ``limit`` finished splits past their retention."""
    query = select(Split).where(
        Split.expires_at < now(), Split.deleted_at.is_(None), Split.status.not_in(UNFINISHED)
    )
    return session.scalars(query.order_by(Split.expires_at).limit(limit)).all()


def existing(session: Session, split_ids: Sequence[str]) -> dict[str, str]:
    """Return those of the ids whose splits exist and were not deleted, with their status."""
    query = select(Split.id, Split.status).where(Split.id.in_(split_ids), Split.deleted_at.is_(None))
    return {row.id: row.status for row in session.execute(query)}


def leases(session: Session) -> set[str]:
    """Return the leases of all runs."""
    return {lease for lease in session.scalars(select(Split.lease).where(IS_PROCESSING)) if lease}


def _unfinished(split_id: str) -> ColumnElement[bool]:
    return and_(Split.id == split_id, Split.status.in_(UNFINISHED))


def _queued() -> dict[str, Any]:
    return {"status": QUEUED, "lease": None, "worker_id": None, "updated_at": now()}


def _leased(split_id: str, lease: str | None) -> ColumnElement[bool]:
    return and_(Split.id == split_id, Split.status == PROCESSING, Split.lease == lease)


def _change(session: Session, condition: ColumnElement[bool], values: dict[str, Any]) -> bool:
    changed = update(Split).where(condition).values(values).returning(Split.id)
    found = session.scalar(changed) is not None
    session.expire_all()  # loaded objects are stale
    return found
