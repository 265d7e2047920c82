"""Figures of the whole service, read from the database, so that every process tells the same."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from stemsplitter.splits import totals
from stemsplitter.splits.models import (
    FAILED,
    IS_PROCESSING,
    IS_QUEUED,
    PROCESSING,
    QUEUED,
    STATUSES,
    SUCCEEDED,
    Split,
)
from stemsplitter.webhooks.models import WebhookDelivery
from stemsplitter.worker.heartbeat import living_workers
from stemsplitter.worker.models import Worker

DELIVERY_STATUSES = ("pending", "delivered", "failed", "gone")
OUR_FAULTS = ("SERVER_ERROR", "OUT_OF_MEMORY")
MOST_RECENT = 1000  # splits that a median is taken of


@dataclass(frozen=True)
class Load:
    """What a model has to do: splits that wait, their seconds of audio, since when the first of them waits, splits that
    run, and workers that take them."""

    queued: int = 0
    queued_s: int = 0
    oldest: datetime | None = None
    running: int = 0
    workers: int = 0


@dataclass(frozen=True)
class Statistics:
    """``splits`` and ``deliveries`` count by status; ``oldest_queued_s`` is 0 where nothing waits.

    ``loads`` has every model that something waits for, or that a living worker takes.
    """

    splits: dict[str, int]
    separated_s: int
    oldest_queued_s: float
    deliveries: dict[str, int]
    workers: int
    loads: dict[str, Load]


@dataclass(frozen=True)
class Recent:
    """Medians of the ``splits`` that succeeded lately, None where there are none.

    ``wait_s`` is seconds from creation to a worker's beginning, ``speed`` seconds of audio for each second of work.
    """

    splits: int
    wait_s: float | None
    speed: float | None


def read(session: Session, at: datetime, lease_s: float) -> Statistics:
    """The figures at that time. A worker counts while its heartbeat is no older than ``lease_s`` seconds."""
    splits, deliveries = dict.fromkeys(STATUSES, 0), dict.fromkeys(DELIVERY_STATUSES, 0)
    ended = totals.read(session)
    splits |= {status: total.splits for status, total in ended.items()}
    by_status = select(WebhookDelivery.status, func.count()).group_by(WebhookDelivery.status)
    for status, count in session.execute(by_status):
        deliveries[status] = count
    living = living_workers(session, timedelta(seconds=lease_s), at)
    loads = _loads(session, living)
    oldest = min((load.oldest for load in loads.values() if load.oldest), default=at)
    splits[QUEUED] = sum(load.queued for load in loads.values())
    splits[PROCESSING] = sum(load.running for load in loads.values())
    return Statistics(
        splits=splits,
        separated_s=ended[SUCCEEDED].seconds,
        oldest_queued_s=(at - oldest).total_seconds(),
        deliveries=deliveries,
        workers=len(living),
        loads=loads,
    )


def _loads(session: Session, living: Sequence[str]) -> dict[str, Load]:
    by_model = select(
        Split.model_name, func.count(), func.sum(Split.duration_seconds), func.min(Split.created_at)
    ).group_by(Split.model_name)
    queued = {
        name or "": (n, int(s), since) for name, n, s, since in session.execute(by_model.where(IS_QUEUED))
    }
    running = {name or "": n for name, n, *_ in session.execute(by_model.where(IS_PROCESSING))}
    taken = session.scalars(select(Worker.models).where(Worker.id.in_(living)))
    workers = Counter(name for models in taken for name in models)
    loads = {}
    for name in sorted({*queued, *running, *workers}):
        count, seconds, oldest = queued.get(name, (0, 0, None))
        loads[name] = Load(count, seconds, oldest, running.get(name, 0), workers[name])
    return loads


def recent(session: Session, since: datetime) -> Recent:
    """The figures of splits that succeeded since then, of the last :data:`MOST_RECENT` at most."""
    query = (
        select(Split.created_at, Split.started_at, Split.duration_seconds, Split.processing)
        .where(Split.status == SUCCEEDED, Split.finished_at >= since)
        .order_by(Split.finished_at.desc())
        .limit(MOST_RECENT)
    )
    rows = session.execute(query).all()
    waits = [(started - created).total_seconds() for created, started, _, _ in rows if started]
    speeds = [seconds / work["seconds"] for _, _, seconds, work in rows if work and work["seconds"] > 0]
    return Recent(len(rows), median(waits) if waits else None, median(speeds) if speeds else None)


def faults(session: Session, since: datetime, until: datetime) -> int:
    """How many splits failed by a fault of ours after ``since``, ``until`` included."""
    query = select(func.count()).where(
        Split.status == FAILED,
        Split.error_code.in_(OUR_FAULTS),
        Split.finished_at > since,
        Split.finished_at <= until,
    )
    return session.scalar(query) or 0
