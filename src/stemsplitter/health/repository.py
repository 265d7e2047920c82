"""Queries of what was seen of the service."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from stemsplitter.health.models import HealthCheck


def checks(session: Session, since: datetime) -> Sequence[HealthCheck]:
    """What was seen since then, the oldest first."""
    query = select(HealthCheck).where(HealthCheck.at >= since)
    return session.scalars(query.order_by(HealthCheck.at)).all()


def last(session: Session) -> datetime | None:
    """When somebody looked last."""
    return session.scalar(select(func.max(HealthCheck.at)))


def forget(session: Session, before: datetime) -> None:
    """Delete what was seen before then."""
    session.execute(delete(HealthCheck).where(HealthCheck.at < before))
