"""Files that are put in their place whole and with the right SHA-256, or not at all."""

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Self

from stemsplitter.errors import ModelError

Progress = Callable[[int, int | None], None]
"""Called with the bytes done and the bytes to do in all, or None where that is not known."""

BLOCK = 1 << 18
_FULL = (errno.ENOSPC, errno.EDQUOT)
_LOCK_TIMEOUT_S = 1800.0


class PartFile:
    """Writes ``TARGET.part`` and renames it to ``TARGET`` once its size and SHA-256 are the expected ones.

    A context manager. After an error the part stays for a later try to go on from if ``resume`` is true, and
    is deleted otherwise, as it always is where its bytes are wrong or the disk is full.
    """

    def __init__(self, target: Path, size: int, sha256: str, resume: bool = False) -> None:
        self.target, self.size, self.sha256 = target, size, sha256
        self.path = target.with_name(f"{target.name}.part")
        self.done = 0
        self._resume = resume
        self._hash = hashlib.sha256()
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        with disk_errors(self.target.parent):
            self.target.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("ab+" if self._resume else "wb")
            self._file.seek(0)
            while self._resume and (block := self._file.read(BLOCK)):
                self._hash.update(block)
                self.done += len(block)
        if self.done > self.size:
            self.restart()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            if kind is not None and not (self._resume and self.done):
                self.path.unlink(missing_ok=True)

    def restart(self) -> None:
        """Throw away what is there."""
        with disk_errors(self.target.parent):
            self._open.truncate(0)
            self._open.seek(0)
        self.done = 0
        self._hash = hashlib.sha256()

    def write(self, block: bytes) -> None:
        """Add bytes; ModelError where they are more than expected or the disk is full."""
        if self.done + len(block) > self.size:
            self.discard()
            raise ModelError(
                f"{self.target.name} is not the file it should be: it is too large; it was deleted."
            )
        with self._discarded_when_full(), disk_errors(self.target.parent):
            self._open.write(block)
        self._hash.update(block)
        self.done += len(block)

    def is_right(self) -> bool:
        """Whether what is there is the whole file."""
        return self.done == self.size and self._hash.hexdigest() == self.sha256

    def commit(self) -> None:
        """Put the file in its place; ModelError, and the part deleted, where its bytes are wrong."""
        if not self.is_right():
            self.discard()
            raise ModelError(
                f"{self.target.name} is not the file it should be (its SHA-256 is wrong) and was deleted: "
                "try again, and report it if it goes on."
            )
        with self._discarded_when_full(), disk_errors(self.target.parent):
            self._open.flush()
            os.fsync(self._open.fileno())
            self._open.close()
            self.path.replace(self.target)

    def discard(self) -> None:
        """Delete the part."""
        with contextlib.suppress(OSError):
            self._open.close()
        self.path.unlink(missing_ok=True)

    @property
    def _open(self) -> IO[bytes]:
        if self._file is None:
            raise ValueError("the part is not open: use it as a context manager")
        return self._file

    @contextmanager
    def _discarded_when_full(self) -> Iterator[None]:
        try:
            yield
        except ModelError:
            self.discard()
            raise


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turns what the system says against writing into ``folder`` into a ModelError of one sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise ModelError(f"There is no space left in {folder}: free some and try again.") from error
        raise ModelError(
            f"The folder {folder} cannot be written ({error.strerror}): set STEMSPLITTER_CACHE_DIR."
        ) from error


def require_space(folder: Path, size: int) -> None:
    """ModelError where ``folder`` (or where it is to be made) has no room for ``size`` bytes."""
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    if free < size:
        raise ModelError(
            f"{folder} has {free / 1e6:.0f} MB of space and {size / 1e6:.0f} MB are needed: free some."
        )


def hash_file(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold a lock between processes and threads; waits for it, ModelError after half an hour.

    The system lets go of it when its holder ends, however that ends.
    """
    deadline = time.monotonic() + _LOCK_TIMEOUT_S
    with disk_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    with file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise ModelError(
                        "Another process has been changing this model for long: end it first."
                    ) from error
                time.sleep(0.1)
        yield
