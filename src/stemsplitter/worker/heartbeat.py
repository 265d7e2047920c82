"""Which processes of the server live: each says so, often enough that silence means death."""

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
from stemsplitter.worker.membership import WORKER, Mark
from stemsplitter.worker.models import Worker

BEATS_PER_LEASE = 3
WORKING, STOPPED = "working", "stopped"
KEPT = timedelta(days=1)

_log = logging.getLogger(__name__)


class Heartbeat:
    """A process's row, refreshed by a thread three times in each lease. Hosts' clocks must agree to within a lease."""

    def __init__(
        self,
        database: Database,
        lease_seconds: float,
        mark: Mark,
        models: Sequence[str] = (),
        device: str = "",
    ) -> None:
        self.worker_id = new_id("wrk" if mark.role == WORKER else mark.role)
        self.interval = lease_seconds / BEATS_PER_LEASE
        self._database = database
        self._lease = timedelta(seconds=lease_seconds)
        self._mark, self._models, self._device = mark, list(models), device
        self._started_at = now()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Enter the process among those of the server, and keep saying that it lives.

        A process with which it does not fit may have died a moment ago: it is given a lease to show that it lives.

        Raises:
            SettingsError: it does live.
        """
        heard: dict[str, datetime] = {}
        deadline = time.monotonic() + 2 * self._lease.total_seconds()
        while True:
            looked = time.monotonic()
            if (found := self._enter()) is None:
                break
            other, complaint = found
            if other.id not in heard:
                _log.info("waiting to see whether process %d on %s still lives", other.pid, other.host)
            beaten = other.heartbeat_at > heard.setdefault(other.id, other.heartbeat_at)
            # by then, one that has not beaten since the start is known to be dead
            if beaten or looked > deadline:
                raise SettingsError(complaint)
            self._stopped.wait(self.interval / BEATS_PER_LEASE)
        self._thread.start()

    def tell_models(self, models: Sequence[str]) -> None:
        """Enter which models this worker takes splits of, where that has changed."""
        if sorted(models) != sorted(self._models):
            with self._database.write() as session:
                session.execute(self._mine().values(models=list(models)))
            self._models = list(models)

    def stop(self) -> None:
        """Say that the process has ended; where the database is gone, the others find it out."""
        self._stopped.set()
        self._thread.join()
        try:
            with self._database.write() as session:
                session.execute(self._mine().values(state=STOPPED))
        except SQLAlchemyError:
            _log.exception("the end of this process could not be told")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def living(self) -> list[str]:
        """Ids of the workers that live, this one among them unless its own heart is late."""
        with self._database.read() as session:
            return living_workers(session, self._lease)

    def leads(self) -> bool:
        """Whether this is the one worker that looks after the others.

        Two may think so for a moment, so whatever a leader does must bear being done twice. Side by side, each version
        has a leader of its own: what there is to do may differ.
        """
        eldest = _living(self._lease, now()).where(
            Worker.role == WORKER, Worker.version == self._mark.version
        )
        with self._database.read() as session:
            return session.scalar(eldest.limit(1)) == self.worker_id

    def forget_dead(self) -> None:
        """Remove the rows of processes that ended a day ago."""
        with self._database.write() as session:
            session.execute(delete(Worker).where(Worker.heartbeat_at < now() - KEPT))

    def _enter(self) -> tuple[Worker, str] | None:
        """Add the row, unless a living process does not fit: that one, and why."""
        with self._database.write() as session:
            is_sqlite = self._database.is_sqlite
            membership.take_turn(session)
            living = living_processes(session, self._lease)
            found = membership.misfit(session, self._mark, living, is_sqlite=is_sqlite)
            if found is None:
                session.add(self._row())
            return found

    def _mine(self) -> Update:
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
            role=self._mark.role,
            version=self._mark.version,
            storage=self._mark.storage,
            secret=self._mark.secret,
        )

    def _beat(self) -> None:
        while not self._stopped.wait(self.interval):
            try:
                with self._database.write() as session:
                    mine = session.get(Worker, self.worker_id)
                    if mine is None:  # the machine slept for a day, and others forgot this process
                        session.add(self._row())
                    else:
                        mine.heartbeat_at = now()
                        mine.host = socket.gethostname()  # a laptop is renamed by the network that it is in
            except SQLAlchemyError:
                _log.exception("the heartbeat failed, and is tried again")


def living_workers(session: Session, lease: timedelta, at: datetime | None = None) -> list[str]:
    """Ids of the workers heard of within the lease before ``at``, by default now; the oldest first."""
    query = _living(lease, at or now()).where(Worker.role == WORKER)
    return list(session.scalars(query))


def living_processes(session: Session, lease: timedelta, at: datetime | None = None) -> list[str]:
    """As :func:`living_workers`, but of all processes, APIs too."""
    return list(session.scalars(_living(lease, at or now())))


def hears_version_before(session: Session, since: datetime) -> bool:
    """Whether a worker of a version that does not tell which it is was heard of since then."""
    heard = select(Worker.id).where(
        Worker.state == WORKING, Worker.heartbeat_at >= since, Worker.version.is_(None)
    )
    return session.scalar(heard.limit(1)) is not None


def known_processes(session: Session) -> Sequence[Worker]:
    """The rows of all processes, those heard of last first; what ended a day ago is gone."""
    return session.scalars(select(Worker).order_by(Worker.heartbeat_at.desc(), Worker.id)).all()


def _living(lease: timedelta, at: datetime) -> Select[str]:
    lives = and_(Worker.state == WORKING, Worker.heartbeat_at >= at - lease)
    return select(Worker.id).where(lives).order_by(Worker.id)
