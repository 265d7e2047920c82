"""Atomic files with a known SHA-256, locks between processes, and disk space checks."""

import errno
import fcntl
import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from stemsplitter import sizes
from stemsplitter.errors import ModelError, OutputError
from stemsplitter.files.atomic import AtomicFile

Progress = Callable[[int, int | None], None]
"""Called with the bytes done and the total, or None if the total is unknown."""

BLOCK = 1 << 18
_FULL = (errno.ENOSPC, errno.EDQUOT)
_LOCK_TIMEOUT_S = 1800.0


class PartFile:
    """An atomic file of a known size and SHA-256; other content is never committed.

    A context manager. With ``resume``, an exception keeps ``TARGET.part`` for a later attempt to continue, except
    if its bytes are wrong or the disk is full. Methods raise :class:`ModelError`.
    """

    def __init__(self, target: Path, size: int, sha256: str, resume: bool = False) -> None:
        self.target, self.size, self.sha256 = target, size, sha256
        self.done = 0
        self._resume = resume
        self._hash = hashlib.sha256()
        self._opened: AtomicFile | None = None

    def __enter__(self) -> Self:
        with disk_errors(self.target.parent):
            self.target.parent.mkdir(parents=True, exist_ok=True)
            self._opened = AtomicFile(self.target, durable=True, resume=self._resume)
            self._opened.file.seek(0)
            while block := self._opened.file.read(BLOCK):
                self._hash.update(block)
                self.done += len(block)
        if self.done > self.size:
            self.restart()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._atomic.__exit__(kind, error, trace)

    def restart(self) -> None:
        """Delete the bytes written so far."""
        with disk_errors(self.target.parent):
            self._atomic.file.seek(0)
            self._atomic.file.truncate()
        self.done = 0
        self._hash = hashlib.sha256()

    def write(self, block: bytes) -> None:
        """Append bytes; ModelError if they exceed the expected size or the disk is full."""
        if self.done + len(block) > self.size:
            self.discard()
            raise ModelError(f"{self.target.name} is not the expected file: it is too large; it was deleted.")
        with self._discarded_when_full(), disk_errors(self.target.parent):
            self._atomic.file.write(block)
        self._hash.update(block)
        self.done += len(block)

    def is_right(self) -> bool:
        """True if the file is complete and has the expected SHA-256."""
        return self.done == self.size and self._hash.hexdigest() == self.sha256

    def commit(self) -> None:
        """Give the file its name; ModelError, and the file deleted, if its bytes are wrong."""
        if not self.is_right():
            self.discard()
            raise ModelError(
                f"{self.target.name} is not the expected file (its SHA-256 is wrong) and was deleted: "
                "try again, and report it if it happens again."
            )
        with self._discarded_when_full(), disk_errors(self.target.parent):
            self._atomic.commit()

    def discard(self) -> None:
        """Delete the file."""
        self._atomic.discard()

    @property
    def _atomic(self) -> AtomicFile:
        if self._opened is None:
            raise ValueError("the file is not open: use it as a context manager")
        return self._opened

    @contextmanager
    def _discarded_when_full(self) -> Iterator[None]:
        try:
            yield
        except ModelError:
            self.discard()
            raise


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Translate an error of writing into ``folder`` into a ModelError of one sentence."""
    try:
        yield
    except (OSError, OutputError) as raised:
        error = raised if isinstance(raised, OSError) else raised.__cause__
        if not isinstance(error, OSError):
            raise
        if error.errno in _FULL:
            raise ModelError(f"There is no space left in {folder}: free some space and try again.") from error
        raise ModelError(
            f"The folder {folder} cannot be written ({error.strerror}): set STEMSPLITTER_CACHE_DIR."
        ) from error


def require_space(folder: Path, size: int) -> None:
    """Create ``folder`` and raise ModelError if it has no space for ``size`` bytes."""
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    if free < size:
        raise ModelError(
            f"{folder} has {sizes.size(free)} of space and {sizes.size(size)} are needed: free some space."
        )


def hash_file(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold a lock between processes and threads. Waits up to half an hour, then raises ModelError.

    The system releases it when the process that holds it ends.
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
                        "Another process has been changing this model for half an hour: end it first."
                    ) from error
                time.sleep(0.1)
        yield
