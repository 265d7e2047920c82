"""Figures of the whole service, read from the database, so that every process tells the same."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from stemsplitter.jobs.heartbeat import living_workers
from stemsplitter.splits.models import FAILED, QUEUED, STATUSES, SUCCEEDED, Split
from stemsplitter.webhooks.models import WebhookDelivery

DELIVERY_STATUSES = ("pending", "delivered", "failed", "gone")
OUR_FAULTS = ("SERVER_ERROR", "OUT_OF_MEMORY")
MOST_RECENT = 1000  # splits that a median is taken of


@dataclass(frozen=True)
class Statistics:
    """``splits`` and ``deliveries`` count by status; ``oldest_queued_s`` is 0 where nothing waits."""

    splits: dict[str, int]
    separated_s: int
    oldest_queued_s: float
    deliveries: dict[str, int]
    workers: int


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
    for status, count in session.execute(select(Split.status, func.count()).group_by(Split.status)):
        splits[status] = count
    by_status = select(WebhookDelivery.status, func.count()).group_by(WebhookDelivery.status)
    for status, count in session.execute(by_status):
        deliveries[status] = count
    separated = session.scalar(select(func.sum(Split.duration_seconds)).where(Split.status == SUCCEEDED))
    oldest = session.scalar(select(func.min(Split.created_at)).where(Split.status == QUEUED))
    return Statistics(
        splits=splits,
        separated_s=separated or 0,
        oldest_queued_s=(at - oldest).total_seconds() if oldest else 0.0,
        deliveries=deliveries,
        workers=len(living_workers(session, timedelta(seconds=lease_s), at)),
    )


def recent(session: Session, since: datetime) -> Recent:
    """The figures of splits that succeeded since then, of the last :data:`MOST_RECENT` at most."""
    query = (
        select(Split.created_at, Split.started_at, Split.duration_seconds, Split.processing)
        .where(Split.status == SUCCEEDED, Split.updated_at >= since)
        .order_by(Split.updated_at.desc())
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
        Split.updated_at > since,
        Split.updated_at <= until,
    )
    return session.scalar(query) or 0
