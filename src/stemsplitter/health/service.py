"""Looking at the service, and telling how it is and was."""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from stemsplitter.clock import now
from stemsplitter.database import Database
from stemsplitter.health import repository, statistics
from stemsplitter.health.incidents import Incident, incidents
from stemsplitter.health.models import HealthCheck
from stemsplitter.health.statistics import Recent, Statistics
from stemsplitter.settings import Settings
from stemsplitter.storage import Storage, StorageError

KEPT = timedelta(days=7)
RECENT = timedelta(hours=24)
FRESH_S = 10.0  # how long a status is told again: everybody may ask for it

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Status:
    """How the service is. ``storage`` is whether the store of files answered just now."""

    figures: Statistics
    recent: Recent
    storage: bool
    incidents: Sequence[Incident]


class HealthService:
    """Keeps a week of what was seen of the service."""

    def __init__(self, database: Database, storage: Storage, settings: Settings) -> None:
        self._database, self._storage = database, storage
        self._lease_s = settings.lease_seconds
        self._turn = threading.Lock()
        self._told: tuple[float, Status] | None = None

    def look(self) -> None:
        """Note how the service is, and forget what is a week old. A worker does this every minute."""
        storage = self._storage_answers()
        at = now()
        with self._database.write() as session:
            figures = statistics.read(session, at, self._lease_s)
            since = repository.last(session)
            session.merge(  # two workers may look in the same millisecond
                HealthCheck(
                    at=at,
                    storage=storage,
                    queued=figures.splits["queued"],
                    waited_s=int(figures.oldest_queued_s),
                    workers=figures.workers,
                    faults=statistics.faults(session, since, at) if since else 0,
                )
            )
            repository.forget(session, at - KEPT)

    def status(self) -> Status:
        """How the service is, was lately, and what went wrong in a week; at most ten seconds old."""
        with self._turn:
            if self._told is None or time.monotonic() - self._told[0] > FRESH_S:
                self._told = time.monotonic(), self._status()
            return self._told[1]

    def _status(self) -> Status:
        at = now()
        with self._database.read() as session:
            figures = statistics.read(session, at, self._lease_s)
            recent = statistics.recent(session, at - RECENT)
            checks = repository.checks(session, at - KEPT)
        return Status(figures, recent, self._storage_answers(), incidents(checks, at))

    def _storage_answers(self) -> bool:
        try:
            self._storage.check()
        except StorageError:
            _log.exception("the store of files does not answer")
            return False
        return True
