"""The queue of splits: rows of the table ``splits`` in a fair order.

Paying accounts come before the others, but of the turns for which splits of both wait, every n-th is that of a free
account, so that none waits forever. Within each priority, and for each model, the order is start-time fair queueing
(Goyal and Vin, SIGCOMM 1996) over seconds of audio: a split's ``turn`` is its virtual start time, which is the virtual
end time of the account's previous split, but at least the queue's clock, the largest turn claimed so far. Accounts with
queued splits therefore get the same seconds each, however much each has queued, and unused share is not saved up. All
times are in milliseconds of audio.

Each model has its own queue and clock. A worker that runs several models claims from them in the order it asks for.
"""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, exists, func, select, union_all
from sqlalchemy.orm import Session

from stemsplitter.database import one_at_a_time
from stemsplitter.splits import repository
from stemsplitter.splits.models import (
    FREE,
    IS_PROCESSING,
    IS_QUEUED,
    IS_UNFINISHED,
    PAYING,
    Split,
    SplitFlow,
    SplitQueue,
    SplitShare,
)

_LOCK = 0x51554555  # "QUEU": any number that all processes agree on


def place(session: Session, split: Split) -> None:
    """Set the turn of a split that has a model and a priority. The caller holds the account's lock."""
    clock = session.scalar(select(SplitQueue.clock).where(*_of_queue(SplitQueue, split)))
    flow = SplitFlow.account_id == split.account_id
    claimed = session.scalar(select(SplitFlow.end).where(flow, *_of_queue(SplitFlow, split)))
    waiting = session.scalar(
        select(func.max(Split.turn + Split.duration_seconds * 1000)).where(
            IS_UNFINISHED, Split.account_id == split.account_id, *_of_queue(Split, split)
        )
    )
    split.turn = max(clock or 0, claimed or 0, waiting or 0)


def has_next(session: Session, models: Sequence[str], cap: int) -> bool:
    """Return true if :func:`claim` would probably find a split, without a lock."""
    return bool(_heads(session, models, cap))


def claim(
    session: Session, models: Sequence[str], cap: int, free_every: int, worker_id: str, lease: str
) -> Split | None:
    """Claim the next split for the run ``lease``, among accounts that run fewer than ``cap`` splits.

    Within a priority, models are served in the order of ``models``. Claims are serialized, so that no account exceeds
    the cap, and that one of ``free_every`` claims is of a free account where one waits (0: only if no other waits).
    """
    one_at_a_time(session, _LOCK)
    heads = _heads(session, models, cap)
    if not heads:
        return None
    share = session.get(SplitShare, PAYING) or SplitShare(priority=PAYING, turns=0)
    is_contested = {head.priority for head in heads} == {PAYING, FREE}
    priority = min(head.priority for head in heads)
    if is_contested and free_every and share.turns + 1 >= free_every:
        priority = FREE
    found = min(
        (head for head in heads if head.priority == priority), key=lambda head: models.index(head.model_name)
    )
    split = repository.start(session, found.id, None, lease, worker_id)
    if split is not None:
        _advance(session, split)
        _count_turn(session, share, split, is_contested)
    return split


def prune_flows(session: Session) -> None:
    """Delete flows that the clock has passed: they no longer affect the order."""
    one_at_a_time(session, _LOCK)
    passed = exists().where(*_of_queue(SplitQueue, SplitFlow), SplitQueue.clock >= SplitFlow.end)
    session.execute(delete(SplitFlow).where(passed), execution_options={"synchronize_session": False})


def running(session: Session) -> Sequence[Any]:
    """Return ``id``, ``lease`` and ``worker_id`` of the splits that are running."""
    query = select(Split.id, Split.lease, Split.worker_id).where(IS_PROCESSING)
    return session.execute(query).all()


def running_by(session: Session, worker_id: str, excluded: Collection[str] = ()) -> Sequence[Any]:
    """Return ``id`` and ``lease`` of the splits that a worker is running, without the leases ``excluded``."""
    query = select(Split.id, Split.lease).where(IS_PROCESSING, Split.worker_id == worker_id)
    return [row for row in session.execute(query) if row.lease not in excluded]


def _heads(session: Session, models: Sequence[str], cap: int) -> Sequence[Row[Any]]:
    """Return the first split of each priority of the queues of the models, of accounts below the cap."""
    full = select(Split.account_id).where(IS_PROCESSING).group_by(Split.account_id)
    full = full.having(func.count() >= cap)
    heads = (
        _head(model, priority, full.scalar_subquery()) for model in models for priority in (PAYING, FREE)
    )
    return session.execute(union_all(*heads)).all()


def _head(model: str, priority: int, full: Any) -> Any:
    """Select the first split of a queue: the first entry of an index, unless its account is at the cap."""
    first = (
        select(Split.id, Split.model_name, Split.priority)
        .where(
            IS_QUEUED, Split.model_name == model, Split.priority == priority, Split.account_id.not_in(full)
        )
        .order_by(Split.turn, Split.id)
        .limit(1)
    )
    return select(first.subquery())


def _count_turn(session: Session, share: SplitShare, split: Split, is_contested: bool) -> None:
    """Count the contested turns of paying accounts since the last turn of a free one."""
    if split.priority == FREE:
        share.turns = 0
    elif is_contested:
        share.turns += 1
    session.add(share)
    session.flush()


def _advance(session: Session, split: Split) -> None:
    """Advance the queue's clock and the account's flow past a claimed split."""
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
