"""Patience with what is no split's fault: a database that starts again, a store that does not answer."""

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from stemsplitter.storage import StorageError
from stemsplitter.storage.errors import FileMissing
from stemsplitter.worker import backoff

PATIENCE_SECONDS = 300.0

Answer = TypeVar("Answer")
_log = logging.getLogger(__name__)


def is_passing(error: BaseException) -> bool:
    """Whether it is the surroundings' fault, and the same may well succeed later."""
    if isinstance(error, FileMissing):
        return False
    return isinstance(error, StorageError | OperationalError | InterfaceError | PoolTimeout)


def patiently(action: Callable[[], Answer], abort: threading.Event) -> Answer:
    """Do something again and again until the surroundings let it, for some minutes, and not after ``abort`` is set.

    Raises:
        Exception: the last that ``action`` raised.
    """
    deadline, failures = time.monotonic() + PATIENCE_SECONDS, 0
    while True:
        try:
            return action()
        except Exception as error:
            pause = backoff.pause(failures)
            if not is_passing(error) or time.monotonic() + pause > deadline:
                raise
            failures += 1
            _log.warning("what a split needs does not answer, and is asked again in %g s: %s", pause, error)
            if abort.wait(pause):
                raise
