"""Table of what was seen of the service, minute by minute."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from stemsplitter.database import Base, UtcDateTime


class HealthCheck(Base):
    """One look at the service. ``faults`` counts the splits that failed by our fault since the look before."""

    __tablename__ = "health_checks"

    at: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    storage: Mapped[bool]
    queued: Mapped[int]
    waited_s: Mapped[int]
    workers: Mapped[int]
    faults: Mapped[int]
