"""The queue of splits: their own rows, in a fair order.

Who pays is before who does not. Within each of the two, and for each model, it is start-time fair queueing (Goyal and
Vin, SIGCOMM 1996) over seconds of audio: a split's ``turn`` is the virtual time at which it starts, which is when the
account's split before it ends, and not before the queue's clock, the largest turn that was taken. So accounts that have
something waiting get the same seconds each, whoever queued how much, and what was not used is not saved up. All times
are in milliseconds of audio.

Queues of different models have clocks of their own: how far one model's workers are says nothing about another's. A
worker that runs several models serves them in the order in which it asks for them.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, exists, func, select, union_all, update
from sqlalchemy.orm import Session

from stemsplitter.clock import now
from stemsplitter.database import one_at_a_time
from stemsplitter.splits import repository
from stemsplitter.splits.models import (
    IS_PROCESSING,
    IS_QUEUED,
    IS_UNFINISHED,
    Split,
    SplitFlow,
    SplitQueue,
)

_LOCK = 0x51554555  # "QUEU": any number that all processes agree on
BATCH = 500


def place(session: Session, split: Split) -> None:
    """Give a split, which has its model and its priority, its turn. The caller holds the account's lock."""
    clock = session.scalar(select(SplitQueue.clock).where(*_of_queue(SplitQueue, split)))
    flow = SplitFlow.account_id == split.account_id
    taken = session.scalar(select(SplitFlow.end).where(flow, *_of_queue(SplitFlow, split)))
    waiting = session.scalar(
        select(func.max(Split.turn + Split.duration_seconds * 1000)).where(
            IS_UNFINISHED, Split.account_id == split.account_id, *_of_queue(Split, split)
        )
    )
    split.turn = max(clock or 0, taken or 0, waiting or 0)


def has_next(session: Session, models: Sequence[str], cap: int) -> bool:
    """Whether :func:`claim` would most likely find something. It changes nothing and takes no lock."""
    return _next(session, models, cap) is not None


def claim(session: Session, models: Sequence[str], cap: int, worker_id: str, lease: str) -> Split | None:
    """Take the split whose turn it is for the run ``lease``, of accounts that run fewer than ``cap`` splits.

    Of splits of one priority, those of a model that stands earlier in ``models`` are taken first. Claims go one after
    the other, so that nobody exceeds the cap.
    """
    one_at_a_time(session, _LOCK)
    found = _next(session, models, cap)
    split = repository.begin(session, found.id, None, lease, worker_id) if found else None
    if split is not None:
        _advance(session, split)
    return split


def forget_flows(session: Session) -> None:
    """Delete what the clocks have passed: it makes no difference any more."""
    one_at_a_time(session, _LOCK)
    passed = exists().where(*_of_queue(SplitQueue, SplitFlow), SplitQueue.clock >= SplitFlow.end)
    session.execute(delete(SplitFlow).where(passed), execution_options={"synchronize_session": False})


def unplaced(session: Session, limit: int = BATCH) -> Sequence[Split]:
    """Queued splits without a turn: a version of this program before this one has made them."""
    query = select(Split).where(IS_QUEUED, Split.model_name.is_(None)).order_by(Split.id).limit(limit)
    return session.scalars(query).all()


def speak_up(session: Session, before: datetime) -> None:
    """Note of the unfinished splits with a turn that were not heard of since ``before`` that they are there."""
    silent = update(Split).where(IS_UNFINISHED, Split.model_name.is_not(None), Split.updated_at < before)
    session.execute(silent.values(updated_at=now()), execution_options={"synchronize_session": False})


def running(session: Session) -> Sequence[Any]:
    """The splits that run: ``id``, ``lease``, ``worker_id`` and ``updated_at`` of each."""
    query = select(Split.id, Split.lease, Split.worker_id, Split.updated_at).where(IS_PROCESSING)
    return session.execute(query).all()


def running_of(session: Session, worker_id: str, but: Collection[str] = ()) -> Sequence[Any]:
    """As :func:`running`, but of one worker, and without the runs ``but``."""
    query = select(Split.id, Split.lease).where(IS_PROCESSING, Split.worker_id == worker_id)
    return [row for row in session.execute(query) if row.lease not in but]


def _next(session: Session, models: Sequence[str], cap: int) -> Row[Any] | None:
    full = select(Split.account_id).where(IS_PROCESSING).group_by(Split.account_id)
    full = full.having(func.count() >= cap)
    heads = (_head(model, full.scalar_subquery()) for model in models)
    rows = session.execute(union_all(*heads)).all()
    return min(rows, key=lambda row: (row.priority, models.index(row.model_name)), default=None)


def _head(model: str, full: Any) -> Any:
    """The first split of a model's queue: the first entry of an index, but for accounts that have enough running."""
    first = (
        select(Split.id, Split.model_name, Split.priority)
        .where(IS_QUEUED, Split.model_name == model, Split.account_id.not_in(full))
        .order_by(Split.priority, Split.turn, Split.id)
        .limit(1)
    )
    return select(first.subquery())


def _advance(session: Session, split: Split) -> None:
    """Set the queue's clock, and when the account is through with what was taken of it."""
    queue = {"model_name": split.model_name, "priority": split.priority}
    clock = session.get(SplitQueue, queue) or SplitQueue(**queue, clock=0)
    clock.clock = max(clock.clock, split.turn)
    flow = session.get(SplitFlow, {**queue, "account_id": split.account_id}) or SplitFlow(
        **queue, account_id=split.account_id, end=0
    )
    flow.end = max(flow.end, split.turn + split.duration_seconds * 1000)
    session.add_all((clock, flow))
    session.flush()


def _of_queue(table: Any, split: Any) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return table.model_name == split.model_name, table.priority == split.priority
