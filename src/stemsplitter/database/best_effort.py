"""Tasks that no request waits for."""

import logging
import threading
from collections.abc import Callable

_log = logging.getLogger(__name__)


class BestEffort:
    """Runs one write at a time in a thread of its own. A write is dropped while another runs, or if it fails.

    For what may be lost, such as the time of a last use: a database that is locked must not hold up reading requests.
    """

    def __init__(self) -> None:
        self._idle = threading.Lock()

    def run(self, write: Callable[[], object]) -> None:
        """Start a write, unless another one runs."""
        if self._idle.acquire(blocking=False):
            threading.Thread(target=self._run, args=(write,), name="best effort", daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Wait until no write runs. Returns false if one still does after ``seconds``."""
        if not self._idle.acquire(timeout=seconds):
            return False
        self._idle.release()
        return True

    def _run(self, write: Callable[[], object]) -> None:
        try:
            write()
        except Exception as error:
            _log.warning("a task in the background failed: %s", type(error).__name__)
        finally:
            self._idle.release()
