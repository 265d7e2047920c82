"""A file that appears whole under its name, or not at all."""

import contextlib
import errno
import os
import secrets
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from stemsplitter.errors import OutputError
from stemsplitter.files.names import shown

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
    """The one-sentence error for a failure of the system while ``path`` is written."""
    reason = _REASONS.get(cause.errno or 0, f"the system says {cause.strerror or cause}")
    return OutputError(f"{shown(path)} cannot be written because {reason}.")


class PendingFile:
    """A binary file, open for reading and writing, that gets its name only on :meth:`commit`.

    Where the file system can (Linux: ``O_TMPFILE``) the file has no name until then, so that even a killed
    process leaves nothing behind; elsewhere it has a hidden temporary name that :meth:`discard` removes.
    As a context manager it discards what was not committed.

    Raises :class:`OutputError` where the folder is missing or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._hidden: Path | None = None
        try:
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            self.file: BinaryIO = os.fdopen(self._open(), "w+b", buffering=_BUFFER)
        except OSError as error:
            raise output_error(path, error) from error

    def _open(self) -> int:
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
        # Not made from the final name, which may already be as long as a name can be.
        return self.path.parent / f".stemsplitter-{secrets.token_hex(8)}.part"

    def commit(self) -> None:
        """Give the file its name, in place of any file that has it now.

        Raises :class:`OutputError`; the file is then gone, and what had the name before is untouched.
        """
        try:
            self.file.flush()
            if self._hidden is None and not self._link(self.path):
                self._hidden = self._hidden_name()
                self._link(self._hidden)
            if self._hidden is not None:
                self._hidden.replace(self.path)
                self._hidden = None
            self.file.close()
        except OSError as error:
            self.discard()
            raise output_error(self.path, error) from error

    def _link(self, name: Path) -> bool:
        """Name the anonymous file; False where the name is taken."""
        try:
            # A descriptor for the source's folder makes Python call linkat, which follows the /proc link.
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.link(f"/proc/self/fd/{self.file.fileno()}", name, src_dir_fd=folder, follow_symlinks=True)
            finally:
                os.close(folder)
        except FileExistsError:
            return False
        return True

    def discard(self) -> None:
        """Forget the file. Harmless after :meth:`commit` or a second time."""
        with contextlib.suppress(OSError):
            self.file.close()
        if self._hidden is not None:
            with contextlib.suppress(OSError):
                self._hidden.unlink()
            self._hidden = None

    def __enter__(self) -> "PendingFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()
