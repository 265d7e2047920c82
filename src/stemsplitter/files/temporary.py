"""Temporary folders that are removed even if the process that made them was killed."""

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "stemsplitter-work-"
_YOUNG_SECONDS = 60  # a new folder is locked only a moment after it was made


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Provide a folder, which is removed at the end of the block, or by :func:`remove_abandoned` after a crash."""
    with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as name, _locked(Path(name)):
        folder = Path(name) / "files"  # not the locked one: what writes into a folder may lock it as well
        folder.mkdir()
        yield folder


def remove_abandoned() -> int:
    """Remove temporary folders of this user whose processes have ended. Returns their number.

    A process holds a lock on each of its folders, which ends with it.
    """
    count = 0
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # another process removes it
            status = folder.lstat()
            if status.st_uid != os.getuid() or time.time() - status.st_mtime < _YOUNG_SECONDS:
                continue
            with _locked(folder):
                shutil.rmtree(folder)
                count += 1
    return count


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder. Raises OSError if another process holds it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
