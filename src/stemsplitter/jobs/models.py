"""Table of the workers that are, or lately were, at work."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from stemsplitter.database import Base, UtcDateTime


class Worker(Base):
    """A worker process. ``id`` is its executor id; a worker whose heartbeat is old is dead, its jobs up for grabs.

    The row outlives the process: as long as it is there, what ran where can be told.
    """

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int]
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    heartbeat_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    models: Mapped[list[Any]] = mapped_column(JSON)
    device: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16))
