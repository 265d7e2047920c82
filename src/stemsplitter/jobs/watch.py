"""Progress of a run: written to the database, and a check whether the run must stop."""

import logging
import threading
import time
from collections.abc import Callable

from stemsplitter.database import Database
from stemsplitter.jobs import repository
from stemsplitter.worker.retry import is_transient

WRITE_SECONDS = 0.5
CHECK_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Watch:
    """Writes the progress of a run to its job's row at intervals; returns true if the run must stop.

    An unavailable database does not stop the run; a lost lease is noticed when it is available again.

    Attributes:
        lost: true if the run has lost its lease.
    """

    def __init__(self, database: Database, job_id: str, lease: str, abort: threading.Event) -> None:
        self._database, self._job_id, self._lease, self._abort = database, job_id, lease, abort
        self._written, self._next_write, self._next_check = 0, 0.0, 0.0
        self.lost = False

    def __call__(self, fraction: float) -> bool:
        at, percent = time.monotonic(), min(int(fraction * 100), 99)
        if percent > self._written and at >= self._next_write:
            if self._try(lambda: self._write(percent)):
                self._written = percent
            self._next_write, self._next_check = at + WRITE_SECONDS, at + CHECK_SECONDS
        elif at >= self._next_check:
            self._try(self._check)
            self._next_check = at + CHECK_SECONDS
        return self.lost or self._abort.is_set()

    def _write(self, percent: int) -> None:
        with self._database.write() as session:
            self.lost = not repository.advance(session, self._job_id, self._lease, percent)

    def _check(self) -> None:
        with self._database.read() as session:
            self.lost = not repository.has_lease(session, self._job_id, self._lease)

    def _try(self, query: Callable[[], None]) -> bool:
        """Return true if the database was available."""
        try:
            query()
        except Exception as error:
            if not is_transient(error):
                raise
            _log.warning("could not write progress of job %s: %s", self._job_id, error)
            return False
        return True
