"""Queries of jobs. Each update is conditional on the state that the job must still have."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, and_, case, delete, func, literal, null, select, update
from sqlalchemy.orm import Session

from stemsplitter import account_ids
from stemsplitter.clock import now
from stemsplitter.database import UtcDateTime, paging
from stemsplitter.jobs.models import (
    IS_PROCESSING,
    IS_UNFINISHED,
    PROCESSING,
    QUEUED,
    UNFINISHED,
    Job,
)

J = TypeVar("J", bound=Job)


def find(session: Session, job_id: str, *, lock: bool = False) -> Job | None:
    """Return the job with that id; with ``lock``, lock its row until the transaction ends."""
    return session.get(Job, job_id, with_for_update=lock or None)


def owned(session: Session, kind: type[J], account_id: str, job_id: str) -> J | None:
    """Return the account's job of that kind and id, unless it was deleted."""
    query = select(kind).where(kind.id == job_id, kind.account_id == account_id, kind.is_kept())
    return session.scalar(query)


def page(
    session: Session, kind: type[J], account_id: str, *, limit: int, cursor: str | None, status: str | None
) -> tuple[Sequence[J], str | None]:
    """Return a page of the account's jobs of a kind; the cursor may be a job that was deleted since."""
    own = select(kind).where(kind.account_id == account_id)
    only: list[ColumnElement[bool]] = [kind.is_kept()]
    if status is not None:
        only.append(kind.status == status)
    return paging.page(session, own, (kind.created_at, kind.id), limit=limit, cursor=cursor, only=only)


def count_unfinished(session: Session, account_id: str) -> int:
    """Count the jobs of the account and of its test account that are queued or running."""
    query = select(func.count()).where(Job.account_id.in_(account_ids.both(account_id)), IS_UNFINISHED)
    return session.scalar(query) or 0


def start(
    session: Session, job_id: str, previous: str | None, lease: str, worker_id: str | None
) -> Job | None:
    """Give the run ``lease`` a queued job, or the job of the run ``previous``; None if that has changed."""
    at = now()
    values = {
        "status": PROCESSING,
        "lease": lease,
        "worker_id": worker_id,
        "attempts": Job.attempts + 1,
        "started_at": func.coalesce(Job.started_at, literal(at, UtcDateTime)),
        "updated_at": at,
    }
    queued = and_(Job.id == job_id, Job.status == QUEUED)
    condition = queued if previous is None else _leased(job_id, previous)
    return find(session, job_id) if _change(session, condition, values) else None


def advance(session: Session, job_id: str, lease: str, progress: int) -> bool:
    """Raise the progress, never lower it; False if the run has lost its lease."""
    higher = case((Job.progress < progress, progress), else_=Job.progress)
    return _change(session, _leased(job_id, lease), {"progress": higher, "updated_at": now()})


def has_lease(session: Session, job_id: str, lease: str) -> bool:
    """Return true if the run still has its lease."""
    return session.scalar(select(Job.id).where(_leased(job_id, lease))) is not None


def release(session: Session, job_id: str, lease: str) -> bool:
    """Requeue the job without counting this attempt; False if the run has lost its lease."""
    return _change(session, _leased(job_id, lease), {**_queued(), "attempts": Job.attempts - 1})


def requeue(session: Session, job_id: str, lease: str | None) -> bool:
    """Requeue the job and count this attempt; False if the run has lost its lease."""
    return _change(session, _leased(job_id, lease), _queued())


def finish(session: Session, job_id: str, lease: str | None, values: dict[str, Any]) -> Job | None:
    """End an unfinished job with ``values``; None if it has ended, or the run ``lease`` has lost its lease."""
    condition = _unfinished(job_id) if lease is None else _leased(job_id, lease)
    at = now()
    values = {**values, "lease": None, "worker_id": None, "updated_at": at, "finished_at": at}
    return find(session, job_id) if _change(session, condition, values) else None


def mark_deleted(session: Session, job_id: str) -> bool:
    """Mark a finished job as deleted, and delete its texts; False if it is unfinished or was deleted before."""
    finished = and_(Job.id == job_id, Job.status.not_in(UNFINISHED), Job.deleted_at.is_(None))
    columns = Job.__table__.c
    values = {columns.deleted_at: now(), columns.trashed_at: null(), columns.metadata: {}}
    texts = (columns.webhook_url, columns.cause, columns.parameters, columns.analysis, columns.cover)
    return _change(session, finished, values | dict.fromkeys(texts, null()))


def trash(session: Session, job_id: str) -> bool:
    """Hide a finished job from its account until it is deleted or restored; False if it is unfinished or deleted."""
    finished = and_(Job.id == job_id, Job.status.not_in(UNFINISHED), Job.is_kept())
    return _change(session, finished, {"trashed_at": now()})


def restorable(
    session: Session, kind: type[J], account_id: str, job_ids: Sequence[str], since: datetime, *, lock: bool
) -> Sequence[J]:
    """Return those of the account's jobs that were trashed since then, optionally locked until the transaction ends."""
    trashed = (kind.id.in_(job_ids), kind.account_id == account_id, kind.trashed_at > since)
    query = select(kind).where(*trashed, kind.deleted_at.is_(None))
    return session.scalars(query.with_for_update() if lock else query).all()


def trashed(session: Session, before: datetime, limit: int) -> Sequence[Job]:
    """Return at most ``limit`` jobs trashed before then."""
    query = select(Job).where(Job.trashed_at < before).order_by(Job.trashed_at).limit(limit)
    return session.scalars(query).all()


def expired(session: Session, limit: int) -> Sequence[Job]:
    """Return at most ``limit`` finished jobs past their retention."""
    query = select(Job).where(Job.expires_at < now(), Job.deleted_at.is_(None), Job.status.not_in(UNFINISHED))
    return session.scalars(query.order_by(Job.expires_at).limit(limit)).all()


def delete_records(session: Session, before: datetime, limit: int) -> int:
    """Delete at most ``limit`` rows of jobs that were deleted before that time. Returns their number."""
    old = select(Job.id).where(Job.deleted_at < before).limit(limit)
    deleted = delete(Job).where(Job.id.in_(old.scalar_subquery())).returning(Job.id)
    return len(session.scalars(deleted, execution_options={"synchronize_session": False}).all())


def existing(session: Session, job_ids: Sequence[str]) -> dict[str, str]:
    """Return those of the ids whose jobs exist and were not deleted, with their status."""
    query = select(Job.id, Job.status).where(Job.id.in_(job_ids), Job.deleted_at.is_(None))
    return {row.id: row.status for row in session.execute(query)}


def leases(session: Session) -> set[str]:
    """Return the leases of all runs."""
    return {lease for lease in session.scalars(select(Job.lease).where(IS_PROCESSING)) if lease}


def _unfinished(job_id: str) -> ColumnElement[bool]:
    return and_(Job.id == job_id, Job.status.in_(UNFINISHED))


def _queued() -> dict[str, Any]:
    return {"status": QUEUED, "lease": None, "worker_id": None, "updated_at": now()}


def _leased(job_id: str, lease: str | None) -> ColumnElement[bool]:
    return and_(Job.id == job_id, Job.status == PROCESSING, Job.lease == lease)


def _change(session: Session, condition: ColumnElement[bool], values: dict[Any, Any]) -> bool:
    changed = update(Job).where(condition).values(values).returning(Job.id)
    # not synchronized: the values may be columns of a subclass
    found = session.scalar(changed, execution_options={"synchronize_session": False}) is not None
    session.expire_all()  # loaded objects are stale
    return found
