"""Figures of the whole service, read from the database, so that every process tells the same."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from stemsplitter.jobs.models import Worker
from stemsplitter.splits.models import QUEUED, STATUSES, SUCCEEDED, Split
from stemsplitter.webhooks.models import WebhookDelivery

DELIVERY_STATUSES = ("pending", "delivered", "failed", "gone")


@dataclass(frozen=True)
class Statistics:
    """``splits`` and ``deliveries`` count by status; ``oldest_queued_s`` is 0 where nothing waits."""

    splits: dict[str, int]
    separated_s: int
    oldest_queued_s: float
    deliveries: dict[str, int]
    workers: int


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
    alive = select(func.count()).where(Worker.heartbeat_at > at - timedelta(seconds=lease_s))
    return Statistics(
        splits=splits,
        separated_s=separated or 0,
        oldest_queued_s=(at - oldest).total_seconds() if oldest else 0.0,
        deliveries=deliveries,
        workers=session.scalar(alive) or 0,
    )
