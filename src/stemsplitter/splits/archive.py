"""A zip of a split's stems, made while it is sent: nothing is stored twice, and memory holds one block."""

import io
import itertools
import zipfile
from collections.abc import Iterator, Mapping

from stemsplitter.storage import Storage


def stream_zip(storage: Storage, files: Mapping[str, tuple[str, int]]) -> Iterator[bytes]:
    """The bytes of a zip of ``files`` (name → storage key, size), uncompressed, as audio hardly gets smaller.

    Raises:
        FileMissing, StorageError: now, where the first file cannot be read, and while it is sent otherwise.
    """
    blocks = _zip(storage, files)
    return itertools.chain([next(blocks)], blocks)


def _zip(storage: Storage, files: Mapping[str, tuple[str, int]]) -> Iterator[bytes]:
    written = _Buffer()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, (key, size) in files.items():
            large = size >= zipfile.ZIP64_LIMIT
            with archive.open(zipfile.ZipInfo(name, _EPOCH), "w", force_zip64=large) as entry:
                for block in storage.read(key):
                    entry.write(block)
                    yield written.take()
    yield written.take()


_EPOCH = (1980, 1, 1, 0, 0, 0)  # one split has one archive, whenever it is fetched


class _Buffer(io.RawIOBase):
    """A file that is only written, and from whose front is taken what was written so far."""

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
