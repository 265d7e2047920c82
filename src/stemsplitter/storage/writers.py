"""Writers of stored files: atomic, complete from ``commit`` on."""

from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import obstore
from obstore.store import S3Store

from stemsplitter.errors import OutputError
from stemsplitter.files.atomic import AtomicFile
from stemsplitter.storage.errors import StorageError, failures

# S3 allows 10,000 parts, that is 80 GB; a writer holds three parts in memory
PART_BYTES = 8 << 20
_PARTS_AT_ONCE = 2


class FileWriter(ABC):
    """A context manager that discards what was not committed. Methods raise StorageError."""

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Append to the file."""

    @abstractmethod
    def commit(self) -> int:
        """Store the file, replacing an existing one. Returns its size in bytes."""

    @abstractmethod
    def discard(self) -> None:
        """Discard the file. Does nothing after :meth:`commit` or :meth:`discard`."""

    def __enter__(self) -> "FileWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()


class FolderWriter(FileWriter):
    """Writes an atomic file in a folder."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # files that the database refers to must survive a power failure
            self._file = AtomicFile(path, durable=True)
        except (OSError, OutputError) as error:
            raise _unwritable() from error

    def write(self, data: bytes) -> None:
        try:
            self._file.file.write(data)
        except OSError as error:
            raise _unwritable() from error

    def commit(self) -> int:
        try:
            return self._file.commit()
        except OutputError as error:
            raise _unwritable() from error

    def discard(self) -> None:
        self._file.discard()


class BucketWriter(FileWriter):
    """Writes a file to S3 in a multipart upload; only a few parts are in memory.

    The parts of a killed process remain until :meth:`Storage.abort_writes`.
    """

    def __init__(self, store: S3Store, key: str, attributes: dict[str, str]) -> None:
        self._key, self._size, self._is_open = key, 0, True
        self._file = obstore.open_writer(
            store, key, attributes=attributes, buffer_size=PART_BYTES, max_concurrency=_PARTS_AT_ONCE
        )

    def write(self, data: bytes) -> None:
        with failures(self._key):
            self._size += self._file.write(data)

    def commit(self) -> int:
        self._is_open = False
        with failures(self._key):
            self._file.close()
        return self._size

    def discard(self) -> None:
        if self._is_open:
            self._is_open = False
            given_up = StorageError("The upload was aborted.")
            with suppress(StorageError), failures(self._key):  # remaining parts are aborted later
                self._file.__exit__(type(given_up), given_up, None)


def _unwritable() -> StorageError:
    return StorageError("The file cannot be stored: ask the operator to look at the server's storage.")
