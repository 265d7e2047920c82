"""Which workers live: each says so, often enough that silence means death."""

import logging
import os
import socket
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from stemsplitter.database import Database, new_id, now
from stemsplitter.errors import SettingsError
from stemsplitter.jobs.models import Worker

BEATS_PER_LEASE = 3
WORKING, STOPPED = "working", "stopped"
KEPT = timedelta(days=1)

_log = logging.getLogger(__name__)


class Heartbeat:
    """A worker's row, refreshed by a thread three times in each lease. Hosts' clocks must agree to within a lease."""

    def __init__(self, database: Database, lease_seconds: float, models: Sequence[str], device: str) -> None:
        self.worker_id = new_id("wrk")
        self.interval = lease_seconds / BEATS_PER_LEASE
        self._database = database
        self._lease = timedelta(seconds=lease_seconds)
        self._models, self._device = list(models), device
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Enter the worker, and keep saying that it lives."""
        at = now()
        with self._database.write() as session:
            session.add(
                Worker(
                    id=self.worker_id,
                    host=socket.gethostname(),
                    pid=os.getpid(),
                    started_at=at,
                    heartbeat_at=at,
                    models=self._models,
                    device=self._device,
                    state=WORKING,
                )
            )
        self._thread.start()

    def stop(self) -> None:
        """Say that the worker has ended."""
        self._stopped.set()
        self._thread.join()
        with self._database.write() as session:
            session.execute(update(Worker).where(Worker.id == self.worker_id).values(state=STOPPED))

    def living(self) -> list[str]:
        """Ids of the workers that live, this one among them unless its own heart is late."""
        with self._database.read() as session:
            return living_workers(session, self._lease)

    def leads(self) -> bool:
        """Whether this is the one worker that looks after the others.

        Two may think so for a moment, so whatever a leader does must bear being done twice.
        """
        return self.living()[:1] == [self.worker_id]

    def forget_dead(self) -> None:
        """Remove the rows of workers that ended a day ago."""
        with self._database.write() as session:
            session.execute(delete(Worker).where(Worker.heartbeat_at < now() - KEPT))

    def _beat(self) -> None:
        while not self._stopped.wait(self.interval):
            try:
                with self._database.write() as session:
                    mine = update(Worker).where(Worker.id == self.worker_id)
                    session.execute(mine.values(heartbeat_at=now()))
            except SQLAlchemyError:
                _log.exception("the heartbeat failed, and is tried again")


def living_workers(session: Session, lease: timedelta, at: datetime | None = None) -> list[str]:
    """Ids of the workers heard of within the lease before ``at``, by default now; the oldest first."""
    since = (at or now()) - lease
    query = select(Worker.id).where(Worker.state == WORKING, Worker.heartbeat_at >= since)
    return list(session.scalars(query.order_by(Worker.id)))


def known_workers(session: Session) -> Sequence[Worker]:
    """The rows of all workers, those heard of last first; what ended a day ago is gone."""
    return session.scalars(select(Worker).order_by(Worker.heartbeat_at.desc(), Worker.id)).all()


def check_one_host(database: Database, lease_seconds: float) -> None:
    """Refuse to work on a SQLite database beside a worker on another host: its locks do not reach so far.

    Raises:
        SettingsError: that is how it is.
    """
    if not database.is_sqlite:
        return
    with database.read() as session:
        living = living_workers(session, timedelta(seconds=lease_seconds))
        hosts = session.scalars(select(Worker.host).where(Worker.id.in_(living)))
        others = {host for host in hosts if host != socket.gethostname()}
    if others:
        raise SettingsError(
            f"A worker on {others.pop()} uses this SQLite database, which works on one host only: set "
            "STEMSPLITTER_DATABASE_URL to a PostgreSQL database, or stop the other worker."
        )
