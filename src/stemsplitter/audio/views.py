"""Read-only views of a file: a sequence of byte ranges and bytes in memory."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO


@dataclass(frozen=True)
class Range:
    """``length`` bytes of a file from ``start`` on."""

    start: int
    length: int


class FileView:
    """File object for FFmpeg that concatenates ranges of ``file`` and bytes in memory.

    After :meth:`abort` every read fails, which stops a demuxer that searches the file.
    """

    def __init__(self, file: IO[bytes], parts: Sequence[bytes | Range], suffix: str = "") -> None:
        # FFmpeg uses the extension to recognize very short files of raw frames.
        self.name = f"source{suffix}"
        self._file = file
        self._parts = [part for part in parts if _length(part)]
        self._starts = [0]
        for part in self._parts:
            self._starts.append(self._starts[-1] + _length(part))
        self._at = 0
        self._aborted = False

    def abort(self) -> None:
        """Make all later reads fail. Safe to call from another thread."""
        self._aborted = True

    def read(self, size: int = -1) -> bytes:
        """Read up to ``size`` bytes, fewer at the end of a part; the rest of the file for -1."""
        if size < 0:
            return b"".join(iter(lambda: self.read(1 << 20), b""))
        if self._aborted:
            raise OSError("reading was aborted")
        index = bisect_right(self._starts, self._at) - 1
        if index >= len(self._parts):
            return b""
        part, offset = self._parts[index], self._at - self._starts[index]
        size = min(size, _length(part) - offset)
        if isinstance(part, bytes):
            data = part[offset : offset + size]
        else:
            self._file.seek(part.start + offset)
            data = self._file.read(size)
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position, like :meth:`io.IOBase.seek`."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise OSError("the position is before the start of the file")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        """The current position."""
        return self._at

    @property
    def size(self) -> int:
        """The length in bytes."""
        return self._starts[-1]


def file_size(file: IO[bytes]) -> int:
    """The length of an open file in bytes."""
    return os.fstat(file.fileno()).st_size


def read_at(file: IO[bytes], at: int, size: int) -> bytes:
    """Read up to ``size`` bytes from position ``at`` on; fewer only at the end."""
    file.seek(at)
    data = b""
    while len(data) < size and (more := file.read(size - len(data))):
        data += more
    return data


def _length(part: bytes | Range) -> int:
    return len(part) if isinstance(part, bytes) else part.length
