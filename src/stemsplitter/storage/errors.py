"""Errors of the file store, and retries."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from obstore.exceptions import BaseError, GenericError

from stemsplitter.errors import StemSplitterError

Result = TypeVar("Result")

# the library retries failed requests itself, so an unavailable store has already been asked several times
RETRY_WITHIN_S = 5.0
ATTEMPTS = 3


class StorageError(StemSplitterError):
    """The store cannot be reached, read or written."""


class FileMissing(StorageError):
    """There is no file under that key."""


@contextmanager
def failures(key: str) -> Iterator[None]:
    """Convert failures of the store to :class:`StorageError`."""
    try:
        yield
    except (BaseError, OSError) as error:
        # a write to a bucket that does not exist also fails with "not found"
        if isinstance(error, FileNotFoundError) and "NoSuchBucket" not in str(error):
            raise FileMissing(f"There is no stored file {key}: it was deleted.") from error
        raise StorageError("The file store does not answer: ask the operator to look at it.") from error


def retry(key: str, call: Callable[[], Result]) -> Result:
    """Return the result of ``call``, which must be idempotent; retry it immediately if it fails.

    The library retries failed requests, but not interrupted responses.
    """
    started = time.monotonic()
    with failures(key):
        for _ in range(ATTEMPTS - 1):
            try:
                return call()
            except GenericError:
                if time.monotonic() - started > RETRY_WITHIN_S:
                    raise
        return call()
