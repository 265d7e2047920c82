"""Table of health checks."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from stemsplitter.database import Base, UtcDateTime


class HealthCheck(Base):
    """A health check. ``faults`` counts the splits that failed because of a server error since the previous check."""

    __tablename__ = "health_checks"

    at: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    storage: Mapped[bool]
    queued: Mapped[int]
    waited_s: Mapped[int]
    workers: Mapped[int]
    faults: Mapped[int]
