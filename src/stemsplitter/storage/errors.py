"""Errors of the file store, and retries."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from obstore.exceptions import BaseError, GenericError

from stemsplitter.errors import StemSplitterError

Result = TypeVar("Result")

# a store that is down has been asked several times by the library, and this is not to make it many more
AGAIN_WITHIN_S = 5.0
TIMES = 3


class StorageError(StemSplitterError):
    """The store cannot be reached, read or written."""


class FileMissing(StorageError):
    """There is no file under that key."""


@contextmanager
def failures(key: str) -> Iterator[None]:
    """Failures of the store, as ours."""
    try:
        yield
    except (BaseError, OSError) as error:
        # to write where there is no bucket is "not found", too
        if isinstance(error, FileNotFoundError) and "NoSuchBucket" not in str(error):
            raise FileMissing(f"There is no stored file {key}: it was deleted.") from error
        raise StorageError("The file store does not answer: ask the operator to look at it.") from error


def again(key: str, call: Callable[[], Result]) -> Result:
    """Return the result of ``call``, which must be idempotent; retry it soon if it fails.

    The library tries again where a request fails, but not where an answer breaks off.
    """
    started = time.monotonic()
    with failures(key):
        for _ in range(TIMES - 1):
            try:
                return call()
            except GenericError:
                if time.monotonic() - started > AGAIN_WITHIN_S:
                    raise
        return call()
