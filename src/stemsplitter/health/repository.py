"""Queries of health checks."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from stemsplitter.health.models import HealthCheck


def checks(session: Session, since: datetime) -> Sequence[HealthCheck]:
    """Return the checks since a time, oldest first."""
    query = select(HealthCheck).where(HealthCheck.at >= since)
    return session.scalars(query.order_by(HealthCheck.at)).all()


def last(session: Session) -> datetime | None:
    """Return the time of the last check."""
    return session.scalar(select(func.max(HealthCheck.at)))


def delete_old(session: Session, before: datetime) -> None:
    """Delete the checks before a time."""
    session.execute(delete(HealthCheck).where(HealthCheck.at < before))
