"""Telling how far a separation is, and whether it must stop."""

import logging
import threading
import time
from collections.abc import Callable

from stemsplitter.database import Database
from stemsplitter.splits import repository
from stemsplitter.splits.retry import is_passing

WRITE_SECONDS = 0.5
CHECK_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Watch:
    """Told how far a separation is, writes it into the split's row now and then; true when it must stop.

    A database that is away does not stop it: whether the split is lost is seen when it is back.
    """

    def __init__(self, database: Database, split_id: str, lease: str, abort: threading.Event) -> None:
        self._database, self._split_id, self._lease, self._abort = database, split_id, lease, abort
        self._written, self._next_write, self._next_check = 0, 0.0, 0.0
        self.lost = False

    def __call__(self, fraction: float) -> bool:
        at, percent = time.monotonic(), min(int(fraction * 100), 99)
        if percent > self._written and at >= self._next_write:
            if self._ask(lambda: self._write(percent)):
                self._written = percent
            self._next_write, self._next_check = at + WRITE_SECONDS, at + CHECK_SECONDS
        elif at >= self._next_check:
            self._ask(self._check)
            self._next_check = at + CHECK_SECONDS
        return self.lost or self._abort.is_set()

    def _write(self, percent: int) -> None:
        with self._database.write() as session:
            self.lost = not repository.advance(session, self._split_id, self._lease, percent)

    def _check(self) -> None:
        with self._database.read() as session:
            self.lost = not repository.holds(session, self._split_id, self._lease)

    def _ask(self, question: Callable[[], None]) -> bool:
        """Whether the database answered."""
        try:
            question()
        except Exception as error:
            if not is_passing(error):
                raise
            _log.warning("the progress of %s cannot be written: %s", self._split_id, error)
            return False
        return True
