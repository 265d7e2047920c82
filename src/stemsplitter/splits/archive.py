"""Zip archives of stems, streamed without a temporary file."""

import io
import itertools
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from stemsplitter.files.names import plain_name
from stemsplitter.storage import Storage


def stream_zip(storage: Storage, files: Mapping[str, tuple[str, int]], made: datetime) -> Iterator[bytes]:
    """Yield a zip archive of ``files`` (name → storage key, size), uncompressed because audio does not compress.
    ``made`` is the time of the entries.

    Raises:
        FileMissing, StorageError: immediately if the first file cannot be read, otherwise during iteration.
    """
    blocks = _zip(storage, files, made)
    return itertools.chain([next(blocks)], blocks)


def folders(songs: Iterable[tuple[str, Mapping[str, tuple[str, int]]]]) -> dict[str, tuple[str, int]]:
    """Return the files of songs, each a name and its files, in folders with the names of the songs."""
    files: dict[str, tuple[str, int]] = {}
    used: Counter[str] = Counter()
    for name, stems in songs:
        folder = plain_name(name.replace("/", "_").replace("\\", "_")).strip(". ")
        used[folder.casefold()] += 1
        if (number := used[folder.casefold()]) > 1:
            folder = f"{folder} ({number})"
        files |= {f"{folder}/{stem}": stored for stem, stored in stems.items()}
    return files


def _zip(storage: Storage, files: Mapping[str, tuple[str, int]], made: datetime) -> Iterator[bytes]:
    written = _Buffer()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, (key, size) in files.items():
            large = size >= zipfile.ZIP64_LIMIT
            with archive.open(zipfile.ZipInfo(name, made.timetuple()[:6]), "w", force_zip64=large) as entry:
                for block in storage.read(key):
                    entry.write(block)
                    yield written.take()
    yield written.take()


class _Buffer(io.RawIOBase):
    """A write-only file; :meth:`take` returns and removes what was written so far."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken, self._parts = b"".join(self._parts), []
        return taken
