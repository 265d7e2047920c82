"""Figures of the whole service, read from the database, so that all processes report the same. Jobs of test keys do not
count."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import get_args

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from stemsplitter.jobs.models import (
    FAILED,
    IS_PROCESSING,
    IS_QUEUED,
    KINDS,
    LOW,
    PROCESSING,
    QUEUED,
    SPLIT,
    STATUSES,
    SUCCEEDED,
    Job,
)
from stemsplitter.splits import totals
from stemsplitter.splits.models import Split
from stemsplitter.webhooks.models import DeliveryStatus, WebhookDelivery
from stemsplitter.worker.heartbeat import live_workers
from stemsplitter.worker.models import Worker

SERVER_FAULTS = ("SERVER_ERROR", "OUT_OF_MEMORY")
MAX_RECENT = 1000  # splits in a median


@dataclass(frozen=True)
class Load:
    """The load of a model: queued splits, their seconds of audio, the creation of the oldest that has no low priority,
    running splits, and workers that run the model."""

    queued: int = 0
    queued_s: int = 0
    oldest: datetime | None = None
    running: int = 0
    workers: int = 0


@dataclass(frozen=True)
class ToolLoad:
    """The load of a kind of tool: queued jobs, the age of the oldest in seconds (0 without any), and running jobs."""

    queued: int = 0
    oldest_s: float = 0.0
    running: int = 0


@dataclass(frozen=True)
class Statistics:
    """Figures of the service. ``splits`` and ``deliveries`` count by status; ``oldest_queued_s`` is 0 without any.

    ``loads`` has every model with unfinished splits or a running worker, ``tools`` every kind of job but splits.
    """

    splits: dict[str, int]
    separated_s: int
    oldest_queued_s: float
    deliveries: dict[str, int]
    workers: int
    loads: dict[str, Load]
    tools: dict[str, ToolLoad]

    @property
    def queued(self) -> int:
        """Queued jobs of all kinds."""
        return self.splits[QUEUED] + sum(tool.queued for tool in self.tools.values())

    @property
    def oldest_s(self) -> float:
        """Age of the oldest queued job of any kind; 0 without any."""
        return max(self.oldest_queued_s, *(tool.oldest_s for tool in self.tools.values()))


@dataclass(frozen=True)
class Recent:
    """Medians of ``splits`` recently succeeded splits, None if there are none.

    ``wait_s`` is the time of those without a low priority from creation to start in seconds, ``speed`` seconds of audio
    per second of processing.
    """

    splits: int
    wait_s: float | None
    speed: float | None


def read(session: Session, at: datetime, lease_s: float) -> Statistics:
    """Return the figures at a time. A worker counts while its heartbeat is at most ``lease_s`` seconds old."""
    splits, deliveries = dict.fromkeys(STATUSES, 0), dict.fromkeys(get_args(DeliveryStatus), 0)
    ended = totals.read(session)
    splits |= {status: total.splits for status, total in ended.items()}
    by_status = select(WebhookDelivery.status, func.count()).group_by(WebhookDelivery.status)
    for status, count in session.execute(by_status):
        deliveries[status] = count
    living = live_workers(session, timedelta(seconds=lease_s), at)
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
        tools=_tools(session, at),
    )


def _loads(session: Session, living: Sequence[str]) -> dict[str, Load]:
    oldest = func.min(case((Split.priority != LOW, Split.created_at)))
    by_model = select(Split.model_name, func.count(), func.sum(Split.duration_seconds), oldest)
    by_model = by_model.where(Split.is_live()).group_by(Split.model_name)
    queued = {
        name or "": (n, int(s), since) for name, n, s, since in session.execute(by_model.where(IS_QUEUED))
    }
    running = {name or "": n for name, n, *_ in session.execute(by_model.where(IS_PROCESSING))}
    models = session.scalars(select(Worker.models).where(Worker.id.in_(living)))
    workers = Counter(name for names in models for name in names)
    loads = {}
    for name in sorted({*queued, *running, *workers}):
        count, seconds, since = queued.get(name, (0, 0, None))
        loads[name] = Load(count, seconds, since, running.get(name, 0), workers[name])
    return loads


def _tools(session: Session, at: datetime) -> dict[str, ToolLoad]:
    by_kind = (
        select(Job.kind, func.count(), func.min(Job.created_at))
        .where(Job.kind != SPLIT, Job.is_live())
        .group_by(Job.kind)
    )
    queued = {kind: (count, since) for kind, count, since in session.execute(by_kind.where(IS_QUEUED))}
    running = {kind: count for kind, count, _ in session.execute(by_kind.where(IS_PROCESSING))}
    loads = {}
    for kind in KINDS:
        if kind != SPLIT:
            count, since = queued.get(kind, (0, at))
            loads[kind] = ToolLoad(count, (at - since).total_seconds(), running.get(kind, 0))
    return loads


def recent(session: Session, since: datetime) -> Recent:
    """Return the figures of the splits that succeeded since a time, of the last :data:`MAX_RECENT` at most."""
    query = (
        select(Split.created_at, Split.started_at, Split.duration_seconds, Split.processing, Split.priority)
        .where(Split.status == SUCCEEDED, Split.finished_at >= since, Split.is_live())
        .order_by(Split.finished_at.desc())
        .limit(MAX_RECENT)
    )
    rows = session.execute(query).all()
    waits = [
        (row.started_at - row.created_at).total_seconds()
        for row in rows
        if row.started_at and row.priority != LOW
    ]
    speeds = [
        row.duration_seconds / row.processing["seconds"]
        for row in rows
        if row.processing and row.processing["seconds"] > 0
    ]
    return Recent(len(rows), median(waits) if waits else None, median(speeds) if speeds else None)


def faults(session: Session, since: datetime, until: datetime) -> int:
    """Return the number of jobs that failed by a server error after ``since``, up to and including ``until``."""
    query = select(func.count()).where(
        Job.kind.in_(KINDS),  # the first column of the index
        Job.status == FAILED,
        Job.error_code.in_(SERVER_FAULTS),
        Job.finished_at > since,
        Job.finished_at <= until,
    )
    return session.scalar(query) or 0
