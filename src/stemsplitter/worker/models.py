"""Table of the server's processes."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from stemsplitter.database import Base, UtcDateTime


class Worker(Base):
    """A process of the server, a worker or an API. It is dead when its heartbeat is older than the lease.

    ``version`` is that of the package; ``storage`` and ``secret`` are fingerprints
    (:mod:`stemsplitter.worker.membership`). The row is kept for a day after the last heartbeat.
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
    role: Mapped[str] = mapped_column(String(16), server_default="worker")
    version: Mapped[str | None] = mapped_column(String(32))
    storage: Mapped[str | None] = mapped_column(String(32))
    secret: Mapped[str | None] = mapped_column(String(32))
