"""Files on their way into the store: there whole from ``commit`` on, or not at all."""

import os
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import obstore
from obstore.store import S3Store

from stemsplitter.errors import OutputError
from stemsplitter.files.pending import PendingFile
from stemsplitter.storage.errors import StorageError, failures

# 10,000 parts make 80 GB; what is being written takes three of them of memory
PART_BYTES = 8 << 20
_PARTS_AT_ONCE = 2


class FileWriter(ABC):
    """A context manager, which forgets what was not committed. Methods raise StorageError."""

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Add to the end of the file."""

    @abstractmethod
    def commit(self) -> int:
        """Put the file into the store, in place of what is there. Its size in bytes."""

    @abstractmethod
    def discard(self) -> None:
        """Forget the file. Harmless after :meth:`commit` or a second time."""

    def __enter__(self) -> "FileWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()


class FolderWriter(FileWriter):
    """Its bytes wait on the same disk, without a name."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._pending = PendingFile(path)
        except (OSError, OutputError) as error:
            raise _unwritable() from error

    def write(self, data: bytes) -> None:
        try:
            self._pending.file.write(data)
        except OSError as error:
            raise _unwritable() from error

    def commit(self) -> int:
        file, path = self._pending.file, self._pending.path
        try:
            file.flush()
            size = file.tell()
            os.fsync(file.fileno())  # what the database will tell of must survive a power cut
            # a file without a name does not keep its folder from being removed as empty
            path.parent.mkdir(parents=True, exist_ok=True)
            self._pending.commit()
            _sync_folder(path.parent)
        except (OSError, OutputError) as error:
            raise _unwritable() from error
        return size

    def discard(self) -> None:
        self._pending.discard()


class BucketWriter(FileWriter):
    """Its bytes go to the store as they come, in parts, of which it makes the file at the end (multipart upload).

    Neither memory nor disk holds more than some parts. Parts of a process that was killed stay until they are swept
    up (:meth:`Storage.abort_writes`).
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
            given_up = StorageError("The file was given up.")
            with suppress(StorageError), failures(self._key):  # what the store keeps then is swept up
                self._file.__exit__(type(given_up), given_up, None)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable() -> StorageError:
    return StorageError("The file cannot be stored: ask the operator to look at the server's storage.")
