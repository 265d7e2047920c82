"""Health checks and the status of the service."""

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

RETENTION = timedelta(days=7)
RECENT = timedelta(hours=24)
CACHE_S = 10.0  # of the status, which is public

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Status:
    """The status of the service. ``storage`` is True if the file storage is available."""

    figures: Statistics
    recent: Recent
    storage: bool
    incidents: Sequence[Incident]


class HealthService:
    """Records health checks and reports the status."""

    def __init__(self, database: Database, storage: Storage, settings: Settings) -> None:
        self._database, self._storage = database, storage
        self._lease_s = settings.lease_seconds
        self._lock = threading.Lock()
        self._cached: tuple[float, Status] | None = None

    def check(self) -> None:
        """Record a health check and delete old ones. A worker calls this every minute."""
        storage = self.is_storage_available()
        at = now()
        with self._database.write() as session:
            figures = statistics.read(session, at, self._lease_s)
            since = repository.last(session)
            session.merge(  # two workers may check in the same millisecond
                HealthCheck(
                    at=at,
                    storage=storage,
                    queued=figures.queued,
                    waited_s=int(figures.oldest_s),
                    workers=figures.workers,
                    faults=statistics.faults(session, since, at) if since else 0,
                )
            )
            repository.delete_old(session, at - RETENTION)

    def status(self) -> Status:
        """Return the current figures, recent medians and the incidents of a week, at most ten seconds old."""
        with self._lock:
            if self._cached is None or time.monotonic() - self._cached[0] > CACHE_S:
                self._cached = time.monotonic(), self._status()
            return self._cached[1]

    def _status(self) -> Status:
        at = now()
        with self._database.read() as session:
            figures = statistics.read(session, at, self._lease_s)
            recent = statistics.recent(session, at - RECENT)
            checks = repository.checks(session, at - RETENTION)
        return Status(figures, recent, self.is_storage_available(), incidents(checks, at))

    def is_storage_available(self) -> bool:
        """True if the file storage responds; a failure is logged."""
        try:
            self._storage.check()
        except StorageError:
            _log.exception("file storage is unavailable")
            return False
        return True
