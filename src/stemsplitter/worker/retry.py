"""Retries of operations that fail because the database or the storage is unavailable."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from stemsplitter.storage import StorageError
from stemsplitter.storage.errors import FileMissing

DELAYS: Final = (0.5, 1.0, 2.0, 5.0, 10.0)  # seconds before each retry; the last repeats
RETRY_SECONDS = 300.0

Result = TypeVar("Result")
_log = logging.getLogger(__name__)


def delay(failures: int) -> float:
    """Return the seconds to wait before the next retry; ``failures`` counts the ones before the last."""
    return DELAYS[min(failures, len(DELAYS) - 1)]


def is_transient(error: BaseException) -> bool:
    """Return true for an error of the database or the storage that a retry may not meet."""
    if isinstance(error, FileMissing):
        return False
    return isinstance(error, StorageError | OperationalError | InterfaceError | PoolTimeout)


def retry(action: Callable[[], Result], abort: threading.Event) -> Result:
    """Call ``action`` until it succeeds, for up to :data:`RETRY_SECONDS`, or until ``abort`` is set.

    Raises:
        Exception: the last error of ``action``; one that is not transient immediately.
    """
    deadline, failures = time.monotonic() + RETRY_SECONDS, 0
    while True:
        try:
            return action()
        except Exception as error:
            seconds = delay(failures)
            if not is_transient(error) or time.monotonic() + seconds > deadline:
                raise
            failures += 1
            _log.warning("database or storage is unavailable, retrying in %g s: %s", seconds, error)
            if abort.wait(seconds):
                raise
