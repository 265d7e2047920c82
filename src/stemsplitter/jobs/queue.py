"""The queue of jobs: rows of their table in a fair order.

Paying accounts come before the others, but of the turns for which jobs of both wait, every n-th is that of a free
account, so that none waits forever. Within each priority, and for each model, the order is start-time fair queueing
(Goyal and Vin, SIGCOMM 1996) over seconds of audio: a job's ``turn`` is its virtual start time, which is the virtual
end time of the account's previous job, but at least the queue's clock, the largest turn claimed so far. Accounts with
queued jobs therefore get the same seconds each, however much each has queued, and unused share is not saved up. All
times are in milliseconds of audio.

Jobs of a low priority come after all others, and give way to them: a worker stops one when another job finds no worker
(:meth:`stemsplitter.jobs.claims.Jobs.claim_before`). They do not count in the number of other jobs that an account
runs.

Each model, and each kind of tool, has its own queue and clock. A worker that runs several of them claims in the order
it asks for.
"""

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, Row, delete, exists, func, select, union_all
from sqlalchemy.orm import Session

from stemsplitter.database import one_at_a_time
from stemsplitter.jobs import repository
from stemsplitter.jobs.models import (
    FREE,
    IS_PROCESSING,
    IS_QUEUED,
    IS_UNFINISHED,
    LOW,
    PAYING,
    Job,
    JobFlow,
    JobQueue,
    JobShare,
)

PRIORITIES = (PAYING, FREE, LOW)
ORDINARY = (PAYING, FREE)
_LOCK = 0x51554555  # "QUEU": any number that all processes agree on


def place(session: Session, job: Job) -> None:
    """Set the turn of a job that has a model and a priority. The caller holds the account's lock."""
    clock = session.scalar(select(JobQueue.clock).where(*_of_queue(JobQueue, job)))
    flow = JobFlow.account_id == job.account_id
    claimed = session.scalar(select(JobFlow.end).where(flow, *_of_queue(JobFlow, job)))
    waiting = session.scalar(
        select(func.max(Job.turn + Job.duration_seconds * 1000)).where(
            IS_UNFINISHED, Job.account_id == job.account_id, *_of_queue(Job, job)
        )
    )
    job.turn = max(clock or 0, claimed or 0, waiting or 0)


def waiting(
    session: Session, models: Sequence[str], cap: int, priorities: Sequence[int] = PRIORITIES
) -> set[str]:
    """Return the ids of the jobs of which :func:`claim` would probably claim one, without a lock."""
    return {head.id for head in _heads(session, models, cap, priorities)}


def claim(
    session: Session,
    models: Sequence[str],
    cap: int,
    free_every: int,
    worker_id: str,
    lease: str,
    priorities: Sequence[int] = PRIORITIES,
) -> Job | None:
    """Claim the next job for the run ``lease``, among accounts that run fewer than ``cap`` jobs.

    Within a priority, models are served in the order of ``models``. Claims are serialized, so that no account exceeds
    the cap, and that one of ``free_every`` claims is of a free account where one waits (0: only if no other waits).
    """
    one_at_a_time(session, _LOCK)
    heads = _heads(session, models, cap, priorities)
    if not heads:
        return None
    share = session.get(JobShare, PAYING) or JobShare(priority=PAYING, turns=0)
    is_contested = {head.priority for head in heads} >= {PAYING, FREE}
    priority = min(head.priority for head in heads)
    if is_contested and free_every and share.turns + 1 >= free_every:
        priority = FREE
    found = min(
        (head for head in heads if head.priority == priority), key=lambda head: models.index(head.model_name)
    )
    job = repository.start(session, found.id, None, lease, worker_id)
    if job is not None:
        _advance(session, job)
        _count_turn(session, share, job, is_contested)
    return job


def prune_flows(session: Session) -> None:
    """Delete flows that the clock has passed: they no longer affect the order."""
    one_at_a_time(session, _LOCK)
    passed = exists().where(*_of_queue(JobQueue, JobFlow), JobQueue.clock >= JobFlow.end)
    session.execute(delete(JobFlow).where(passed), execution_options={"synchronize_session": False})


def running(session: Session) -> Sequence[Any]:
    """Return ``id``, ``lease`` and ``worker_id`` of the jobs that are running."""
    query = select(Job.id, Job.lease, Job.worker_id).where(IS_PROCESSING)
    return session.execute(query).all()


def running_by(session: Session, worker_id: str, excluded: Collection[str] = ()) -> Sequence[Any]:
    """Return ``id`` and ``lease`` of the jobs that a worker is running, without the leases ``excluded``."""
    query = select(Job.id, Job.lease).where(IS_PROCESSING, Job.worker_id == worker_id)
    return [row for row in session.execute(query) if row.lease not in excluded]


def _heads(
    session: Session, models: Sequence[str], cap: int, priorities: Sequence[int]
) -> Sequence[Row[Any]]:
    """Return the first job of each priority of the queues of the models, of accounts below the cap."""
    return session.execute(_heads_query(tuple(models), cap, tuple(priorities))).all()


# an idle worker asks it ten times a second, and making it takes longer than running it
@lru_cache(maxsize=64)
def _heads_query(models: tuple[str, ...], cap: int, priorities: tuple[int, ...]) -> CompoundSelect[Any]:
    running = select(Job.account_id).group_by(Job.account_id).having(func.count() >= cap)
    full = running.where(IS_PROCESSING, Job.priority != LOW).scalar_subquery()
    full_of_any = running.where(IS_PROCESSING).scalar_subquery()
    heads = (
        _head(model, priority, full_of_any if priority == LOW else full)
        for model in models
        for priority in priorities
    )
    return union_all(*heads)


def _head(model: str, priority: int, full: Any) -> Any:
    """Select the first job of a queue: the first entry of an index, unless its account is at the cap."""
    first = (
        select(Job.id, Job.model_name, Job.priority)
        .where(IS_QUEUED, Job.model_name == model, Job.priority == priority, Job.account_id.not_in(full))
        .order_by(Job.turn, Job.id)
        .limit(1)
    )
    return select(first.subquery())


def _count_turn(session: Session, share: JobShare, job: Job, is_contested: bool) -> None:
    """Count the contested turns of paying accounts since the last turn of a free one."""
    if job.priority == FREE:
        share.turns = 0
    elif is_contested:
        share.turns += 1
    session.add(share)
    session.flush()


def _advance(session: Session, job: Job) -> None:
    """Advance the queue's clock and the account's flow past a claimed job."""
    queue = {"model_name": job.model_name, "priority": job.priority}
    clock = session.get(JobQueue, queue) or JobQueue(**queue, clock=0)
    clock.clock = max(clock.clock, job.turn)
    flow = session.get(JobFlow, {**queue, "account_id": job.account_id}) or JobFlow(
        **queue, account_id=job.account_id, end=0
    )
    flow.end = max(flow.end, job.turn + job.duration_seconds * 1000)
    session.add_all((clock, flow))
    session.flush()


def _of_queue(table: Any, job: Any) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return table.model_name == job.model_name, table.priority == job.priority
