"""Heartbeats of the server's processes, and the leader of its workers."""

import logging
import os
import socket
import threading
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Self

from sqlalchemy import Select, Update, and_, delete, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from stemsplitter.clock import now
from stemsplitter.database import Database, new_id
from stemsplitter.errors import SettingsError
from stemsplitter.worker import membership
from stemsplitter.worker.membership import WORKER, Identity
from stemsplitter.worker.models import Worker

HEARTBEATS_PER_LEASE = 3
STOP_SECONDS = 5.0
WORKING, STOPPED = "working", "stopped"
RETENTION = timedelta(days=1)

_log = logging.getLogger(__name__)


class Heartbeat:
    """The row of a process, updated by a thread three times per lease. Clocks of hosts must agree within a lease."""

    def __init__(
        self,
        database: Database,
        lease_seconds: float,
        identity: Identity,
        models: Sequence[str] = (),
        device: str = "",
    ) -> None:
        self.worker_id = new_id("wrk" if identity.role == WORKER else identity.role)
        self.interval = lease_seconds / HEARTBEATS_PER_LEASE
        self._database = database
        self._lease = timedelta(seconds=lease_seconds)
        self._identity, self._models, self._device = identity, list(models), device
        self._started_at = now()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Join the server's processes, and start to write heartbeats.

        A process that conflicts may have died a moment ago, so it has one lease to write another heartbeat.

        Raises:
            SettingsError: a live process conflicts.
        """
        first_heartbeats: dict[str, datetime] = {}
        deadline = time.monotonic() + 2 * self._lease.total_seconds()
        while True:
            checked = time.monotonic()
            if (conflict := self._join()) is None:
                break
            other, message = conflict
            if other.id not in first_heartbeats:
                _log.info("waiting for a heartbeat of process %d on host %s", other.pid, other.host)
            is_live = other.heartbeat_at > first_heartbeats.setdefault(other.id, other.heartbeat_at)
            # by the deadline, a process without a heartbeat since the start is known to be dead
            if is_live or checked > deadline:
                raise SettingsError(message)
            self._stopped.wait(self.interval / HEARTBEATS_PER_LEASE)
        self._thread.start()

    def publish_models(self, models: Sequence[str]) -> None:
        """Write the models whose splits this worker claims, if they have changed."""
        if sorted(models) != sorted(self._models):
            with self._database.write() as session:
                session.execute(self._update().values(models=list(models)))
            self._models = list(models)

    def stop(self) -> None:
        """Mark the process as stopped. If the database is unavailable, its lease expires instead."""
        self._stopped.set()
        self._thread.join(STOP_SECONDS)  # it may wait for a locked database
        try:
            with self._database.write() as session:
                session.execute(self._update().values(state=STOPPED))
        except SQLAlchemyError:
            _log.exception("could not mark this process as stopped")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def live_workers(self) -> list[str]:
        """Return the ids of live workers; without this one if its own heartbeat is late."""
        with self._database.read() as session:
            return live_workers(session, self._lease)

    def is_leader(self) -> bool:
        """Return true if this worker is the leader: the oldest live worker of its version.

        Two workers may be leaders for a moment, so maintenance must tolerate running twice. During a rolling upgrade
        each version has its own leader, as their maintenance may differ.
        """
        oldest = _live(self._lease, now()).where(
            Worker.role == WORKER, Worker.version == self._identity.version
        )
        with self._database.read() as session:
            return session.scalar(oldest.limit(1)) == self.worker_id

    def delete_dead(self) -> None:
        """Delete the rows of processes whose last heartbeat is over a day old."""
        with self._database.write() as session:
            session.execute(delete(Worker).where(Worker.heartbeat_at < now() - RETENTION))

    def _join(self) -> tuple[Worker, str] | None:
        """Add the row. If a live process conflicts, return it and the error message instead."""
        with self._database.write() as session:
            is_sqlite = self._database.is_sqlite
            membership.lock(session)
            live = live_processes(session, self._lease)
            conflict = membership.find_conflict(session, self._identity, live, is_sqlite=is_sqlite)
            if conflict is None:
                session.add(self._row())
            return conflict

    def _update(self) -> Update:
        return update(Worker).where(Worker.id == self.worker_id)

    def _row(self) -> Worker:
        return Worker(
            id=self.worker_id,
            host=socket.gethostname(),
            pid=os.getpid(),
            started_at=self._started_at,
            heartbeat_at=now(),
            models=self._models,
            device=self._device,
            state=WORKING,
            role=self._identity.role,
            version=self._identity.version,
            storage=self._identity.storage,
            secret=self._identity.secret,
        )

    def _run(self) -> None:
        while not self._stopped.wait(self.interval):
            try:
                with self._database.write() as session:
                    row = session.get(Worker, self.worker_id)
                    if row is None:  # the host was suspended for a day, and the leader deleted the row
                        session.add(self._row())
                    else:
                        row.heartbeat_at = now()
                        row.host = socket.gethostname()  # some networks rename a laptop
            except SQLAlchemyError:
                _log.exception("could not write a heartbeat, retrying in %g s", self.interval)


def live_workers(session: Session, lease: timedelta, at: datetime | None = None) -> list[str]:
    """Return the ids of workers with a heartbeat within the lease before ``at`` (default: now), oldest first."""
    query = _live(lease, at or now()).where(Worker.role == WORKER)
    return list(session.scalars(query))


def live_processes(session: Session, lease: timedelta, at: datetime | None = None) -> list[str]:
    """Return the ids of live processes, workers and APIs, like :func:`live_workers`."""
    return list(session.scalars(_live(lease, at or now())))


def all_processes(session: Session) -> Sequence[Worker]:
    """Return the rows of live, stopped and dead processes, latest heartbeat first."""
    return session.scalars(select(Worker).order_by(Worker.heartbeat_at.desc(), Worker.id)).all()


def _live(lease: timedelta, at: datetime) -> Select[str]:
    is_live = and_(Worker.state == WORKING, Worker.heartbeat_at >= at - lease)
    return select(Worker.id).where(is_live).order_by(Worker.id)
