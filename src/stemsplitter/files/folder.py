"""Output folders: created if missing, locked against other runs, removed on failure."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
from pathlib import Path

from stemsplitter.errors import OutputError
from stemsplitter.files.atomic import output_error
from stemsplitter.files.names import TEMPORARY, shown

_BUSY = (errno.EAGAIN, errno.EACCES)


class OutputFolder:
    """Locks ``path`` for one run. The lock is on the folder itself: it needs no file and ends with the process.

    On network file systems without such locks, two runs can write to the same folder. Otherwise temporary files that a
    killed run has left in it are removed.

    Raises :class:`OutputError` if the folder cannot be created or written, or another run holds the lock.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._made: list[Path] = []
        self._descriptor = -1
        try:
            self._make()
            self._lock()
            if not os.access(path, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            self.release(keep=False)
            if isinstance(error, (FileExistsError, NotADirectoryError)):
                raise OutputError(f"{shown(path)} is a file: choose another output folder.") from error
            raise output_error(path, error) from error
        except OutputError:
            self.release(keep=False)
            raise

    def _make(self) -> None:
        missing = []
        folder = self.path
        while not folder.exists() and folder != folder.parent:
            missing.append(folder)
            folder = folder.parent
        for folder in reversed(missing):
            with contextlib.suppress(FileExistsError):  # another run created it meanwhile
                folder.mkdir()
                self._made.append(folder)

    def _lock(self) -> None:
        self._descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _BUSY:
                raise OutputError(
                    f"Another run is writing into {shown(self.path)}: wait for it or choose another folder."
                ) from error
        else:
            self._remove_leftovers()

    def _remove_leftovers(self) -> None:
        """Remove temporary files of runs that were killed: nobody else writes here."""
        for path in self.path.glob(f"{TEMPORARY}{'[0-9a-f]' * 16}*"):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    path.unlink()

    def release(self, *, keep: bool) -> None:
        """Release the lock. Unless ``keep``, empty folders that this run created are removed."""
        if not keep:
            for folder in reversed(self._made):
                with contextlib.suppress(OSError):
                    folder.rmdir()
        self._made = []
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
