"""Atomic files: complete under their name, or absent."""

import contextlib
import errno
import os
import secrets
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from stemsplitter.errors import OutputError
from stemsplitter.files.names import TEMPORARY, shown

_BUFFER = 1 << 20
_NO_ANONYMOUS_FILES = (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL)
_REASONS = {
    errno.ENOSPC: "the disk is full: free some space or choose another folder",
    errno.EDQUOT: "the disk quota is used up: free some space or choose another folder",
    errno.EFBIG: "the file would be larger than is allowed here: choose a smaller format or another folder",
    errno.EACCES: "writing there is not permitted: choose another folder",
    errno.EPERM: "writing there is not permitted: choose another folder",
    errno.EROFS: "the disk is read-only: choose another folder",
    errno.ENOENT: "its folder does not exist: create it or choose another",
    errno.ENOTDIR: "its folder is a file: choose another folder",
    errno.EISDIR: "a folder of that name is in the way: remove it or choose another",
    errno.EEXIST: "a file of that name is in the way: remove it or choose another folder",
    errno.ENAMETOOLONG: "the name is too long: choose a shorter one",
}


def output_error(path: Path, cause: OSError) -> OutputError:
    """Translate a system error while ``path`` is written into one sentence."""
    reason = _REASONS.get(cause.errno or 0, f"the system reports: {cause.strerror or cause}")
    return OutputError(f"{shown(path)} cannot be written because {reason}.")


class AtomicFile:
    """A binary file, open for reading and writing, that gets its name only on :meth:`commit`.

    Where the file system supports it (Linux: ``O_TMPFILE``), the file has no name until then, so that even a killed
    process leaves nothing behind; elsewhere it has a hidden temporary name, which :meth:`discard` removes. As a
    context manager it discards an uncommitted file.

    Args:
        path: the final name. A file of that name stays untouched until :meth:`commit` replaces it.
        durable: flush the file and its folder to disk on :meth:`commit`.
        resume: write to ``PATH.part`` and continue the bytes of an earlier attempt; after an exception that file is
            kept, unless it is empty.

    Raises:
        OutputError: the folder is missing or cannot be written.
    """

    def __init__(self, path: Path, *, durable: bool = False, resume: bool = False) -> None:
        self.path = path
        self._durable, self._resume = durable, resume
        self._hidden: Path | None = None
        try:
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            self.file: BinaryIO = os.fdopen(self._open(), "w+b", buffering=_BUFFER)
            self.file.seek(0, os.SEEK_END)
        except OSError as error:
            raise output_error(path, error) from error

    def _open(self) -> int:
        if self._resume:
            self._hidden = self.path.with_name(f"{self.path.name}.part")
            return os.open(self._hidden, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        anonymous = getattr(os, "O_TMPFILE", None)
        if anonymous is not None:
            try:
                return os.open(self.path.parent, anonymous | os.O_RDWR | os.O_CLOEXEC, 0o666)
            except OSError as error:
                if error.errno not in _NO_ANONYMOUS_FILES:
                    raise
        self._hidden = self._hidden_name()
        return os.open(self._hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)

    def _hidden_name(self) -> Path:
        # Not derived from the final name, which may already have the maximum length.
        return self.path.parent / f"{TEMPORARY}{secrets.token_hex(8)}.part"

    def commit(self) -> int:
        """Give the file its name, replacing any file of that name. Returns its size in bytes.

        Raises :class:`OutputError`; the new file is then deleted, and an existing file of that name is untouched.
        """
        try:
            self.file.flush()
            size = os.fstat(self.file.fileno()).st_size
            if self._durable:
                os.fsync(self.file.fileno())
                # An unnamed file does not keep its folder from being removed as empty.
                self.path.parent.mkdir(parents=True, exist_ok=True)
            if self._hidden is None and not self._link(self.path):
                self._hidden = self._hidden_name()
                self._link(self._hidden)
            if self._hidden is not None:
                self._hidden.replace(self.path)
                self._hidden = None
            if self._durable:
                _sync_folder(self.path.parent)
            self.file.close()
        except OSError as error:
            self.discard()
            raise output_error(self.path, error) from error
        return size

    def _link(self, name: Path) -> bool:
        """Name the unnamed file; False if the name is in use."""
        try:
            # With src_dir_fd, Python calls linkat, which follows the /proc link.
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.link(f"/proc/self/fd/{self.file.fileno()}", name, src_dir_fd=folder, follow_symlinks=True)
            finally:
                os.close(folder)
        except FileExistsError:
            return False
        return True

    def discard(self) -> None:
        """Delete the file. Idempotent; does nothing after :meth:`commit`."""
        with contextlib.suppress(OSError):
            self.file.close()
        if self._hidden is not None:
            with contextlib.suppress(OSError):
                self._hidden.unlink()
            self._hidden = None

    def __enter__(self) -> "AtomicFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._resume and self._hidden is not None and kind is not None:
            with contextlib.suppress(OSError):
                self.file.close()
                if self._hidden.stat().st_size:
                    self._hidden = None
        self.discard()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
