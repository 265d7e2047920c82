"""Free space of the server's disks."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from stemsplitter.service_errors import Busy

RETRY_AFTER_S = 60
_TRIED_BYTES = 64 << 10


def free_bytes(folder: Path) -> int:
    """Return the bytes that this process may still write on the disk of a folder."""
    return shutil.disk_usage(folder).free


class Disk:
    """The disks of some folders, of which ``floor`` bytes stay free for the database and for deletions.

    Args:
        free: returns the free bytes of a folder. Raises OSError.
    """

    def __init__(self, folders: Sequence[Path], floor: int, free: Callable[[Path], int] = free_bytes) -> None:
        self._folders, self._floor, self._free = folders, floor, free

    def check(self, size: int = 0) -> None:
        """Raise Busy if ``size`` more bytes would leave less than the floor."""
        if self.is_full(size):
            raise Busy(
                "The disk of the server is almost full: send the request again later.",
                "free space",
                RETRY_AFTER_S,
            )

    def is_full(self, size: int = 0) -> bool:
        """Return true if ``size`` more bytes would leave less than the floor."""
        return self._floor > 0 and self.free() - size < self._floor

    def free(self) -> int:
        """Return the free bytes of the fullest disk."""
        return min(self._free(folder) for folder in self._folders)

    def problem(self) -> str:
        """Return a sentence on why nothing new is stored, after trying to write; empty if something is."""
        try:
            for folder in self._folders:
                with tempfile.TemporaryFile(dir=folder) as file:
                    file.write(bytes(_TRIED_BYTES))
                    file.flush()
            free = self.free()
        except OSError as error:
            return (
                f"The disk of the server cannot be written ({error.strerror}): free some space or replace it."
            )
        if free < self._floor:
            return (
                f"The disk of the server has {free} bytes left, and nothing new is stored below {self._floor} "
                "(STEMSPLITTER_MIN_FREE_BYTES): free some space."
            )
        return ""
