"""The store of files: a folder, or a bucket of S3 or anything that speaks its protocol."""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

from stemsplitter.audio.pending import PendingFile
from stemsplitter.errors import OutputError, SettingsError
from stemsplitter.storage.errors import FileMissing, StorageError
from stemsplitter.storage.links import LinkSigner
from stemsplitter.storage.names import content_disposition

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

BLOCK_BYTES = 1 << 20
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}){0,7}")
_LONGEST_S3_LINK = timedelta(days=7)
_S3_RETRIES: "RetryConfig" = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}


@dataclass(frozen=True)
class StoredFile:
    """A file in the store: its key, size in bytes, and when it was written (UTC)."""

    key: str
    size: int
    modified: datetime


@dataclass(frozen=True)
class Usage:
    """``folders`` maps each uppermost folder to its number of files and their bytes; at least those, unless
    ``is_whole``. ``free`` is how many bytes are left, None where that cannot be told."""

    folders: dict[str, tuple[int, int]]
    is_whole: bool
    free: int | None


class Storage:
    """Files under keys like ``splits/split_1/vocals.mp3``. Thread-safe; a file is there whole or not at all.

    Args:
        url: ``file:///FOLDER`` or ``s3://BUCKET[/PREFIX]``. For S3, credentials, region and endpoint come from the
            usual ``AWS_…`` variables.
        secret: the key that signs links to files in a folder.
        base_url: what those links begin with.

    Methods raise ValueError for a key that is none, FileMissing, or StorageError.

    Raises:
        SettingsError: the URL is of another kind, or the folder cannot be made.
    """

    def __init__(self, url: str, secret: bytes, base_url: str) -> None:
        self._base_url = base_url.rstrip("/")
        self.links = LinkSigner(secret)
        self._folder: Path | None = None
        self._store: LocalStore | S3Store
        parts = urlsplit(url)
        if parts.scheme == "file" and parts.path.startswith("/") and not parts.netloc:
            self._folder = Path(unquote(parts.path))
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._store = LocalStore(self._folder)
            except (OSError, BaseError) as error:
                raise SettingsError(
                    f"The storage folder {self._folder} cannot be made: set STEMSPLITTER_STORAGE_URL."
                ) from error
        elif parts.scheme == "s3" and parts.netloc:
            self._store = _open_s3(url)
        else:
            raise SettingsError("STEMSPLITTER_STORAGE_URL must be file:///FOLDER or s3://BUCKET.")

    def writer(self, key: str, mime: str, filename: str = "") -> "FileWriter":
        """A file to be written piece by piece, which is in the store from its ``commit`` on.

        ``mime`` and ``filename`` are what downloads from S3 tell; those from a folder are told by the link.
        """
        return FileWriter(self, _checked(key), mime, filename)

    def put_file(self, key: str, path: str | os.PathLike[str], mime: str, filename: str = "") -> int:
        """Copy a file into the store, in place of what is there. Its size in bytes."""
        with Path(path).open("rb") as source:
            return self.put_stream(key, iter(lambda: source.read(BLOCK_BYTES), b""), mime, filename)

    def put_stream(self, key: str, parts: Iterable[bytes], mime: str, filename: str = "") -> int:
        """Write what ``parts`` gives into the store, in place of what is there. Its size in bytes.

        Where ``parts`` raises, nothing is changed.
        """
        with self.writer(key, mime, filename) as file:
            for part in parts:
                file.write(part)
            return file.commit()

    def read(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from ``start`` up to and without ``end`` (the file's own end by default), in blocks."""
        size = self.size(key)
        start, end = max(start, 0), size if end is None else min(end, size)
        if start >= end:
            return
        with _failures(key):
            yield from obstore.get(self._store, key, options={"range": (start, end)}).stream(BLOCK_BYTES)

    @contextmanager
    def local_file(self, key: str) -> Iterator[Path]:
        """The file as one on this disk, to be read within the block: itself, or a copy of what is in S3."""
        if self._folder is not None:
            yield self.path_of(key)[0]
            return
        with tempfile.TemporaryDirectory(prefix="stemsplitter-") as folder:
            path = Path(folder) / _checked(key).rpartition("/")[2]
            with path.open("wb") as file:
                file.writelines(self.read(key))
            yield path

    @property
    def is_folder(self) -> bool:
        """Whether the files are on this disk."""
        return self._folder is not None

    def path_of(self, key: str) -> tuple[Path, os.stat_result]:
        """Where in the folder a file is, and what the system says of it. FileMissing also for a store in S3."""
        if self._folder is None:
            raise FileMissing("Files in S3 have links of their own.")
        path = self._folder / _checked(key)
        with _failures(key):
            return path, path.stat()

    def size(self, key: str) -> int:
        """The file's size in bytes."""
        with _failures(key):
            return obstore.head(self._store, _checked(key))["size"]

    def delete(self, key: str) -> None:
        """Remove the file. Harmless where there is none."""
        try:
            with _failures(key):
                obstore.delete(self._store, _checked(key))
        except FileMissing:
            pass
        if self._folder is not None:
            _remove_empty_folders(self._folder, key)

    def delete_prefix(self, prefix: str) -> int:
        """Remove every file under the folder ``prefix``. How many they were."""
        keys = [stored.key for stored in self.list_prefix(prefix)]
        for key in keys:
            self.delete(key)
        if self._folder is not None:
            shutil.rmtree(self._folder / prefix, ignore_errors=True)
        return len(keys)

    def list_prefix(self, prefix: str = "") -> Iterator[StoredFile]:
        """Every file under the folder ``prefix``, or all, in no order."""
        if prefix:
            _checked(prefix)
        with _failures(prefix):
            for found in obstore.list(self._store, prefix or None, chunk_size=1000):
                for entry in found:
                    yield StoredFile(entry["path"], entry["size"], entry["last_modified"])

    def signed_url(self, key: str, filename: str, mime: str, seconds: float) -> str:
        """A URL that gives the file to whoever has it, for ``seconds`` (of S3 at most 7 days).

        From S3 the file comes with the type and name that it was written with.
        """
        _checked(key)
        if isinstance(self._store, S3Store):
            with _failures(key):
                return obstore.sign(
                    self._store, "GET", key, min(timedelta(seconds=seconds), _LONGEST_S3_LINK)
                )
        return self._base_url + self.links.path(key, filename, mime, seconds)

    def usage(self, deadline_s: float) -> "Usage":
        """What is stored, counted file by file for ``deadline_s`` seconds at most."""
        end, folders = time.monotonic() + deadline_s, dict[str, tuple[int, int]]()
        is_whole = True
        for stored in self.list_prefix():
            folder = stored.key.partition("/")[0]
            files, size = folders.get(folder, (0, 0))
            folders[folder] = files + 1, size + stored.size
            if time.monotonic() > end:
                is_whole = False
                break
        free = None if self._folder is None else shutil.disk_usage(self._folder).free
        return Usage(folders, is_whole, free)

    def check(self) -> None:
        """Raise StorageError where the store does not answer."""
        with _failures(""):
            next(iter(obstore.list(self._store, "check", chunk_size=1)), None)


class FileWriter:
    """A file on its way into the store. A context manager, which forgets what was not committed.

    Its bytes wait on disk; they are in the store, all of them, when :meth:`commit` has returned.
    """

    def __init__(self, storage: Storage, key: str, mime: str, filename: str) -> None:
        self._store = storage._store
        self._key = key
        self._attributes = {"Content-Type": mime}
        if filename:
            self._attributes["Content-Disposition"] = content_disposition(filename)
        self._pending: PendingFile | None = None
        try:
            if storage._folder is not None:
                path = storage._folder / key
                path.parent.mkdir(parents=True, exist_ok=True)
                self._pending = PendingFile(path)
                self._file: IO[bytes] = self._pending.file
            else:
                self._file = tempfile.TemporaryFile(prefix="stemsplitter-")  # noqa: SIM115
        except (OSError, OutputError) as error:
            raise _unwritable() from error

    def write(self, data: bytes) -> None:
        """Add to the end of the file."""
        try:
            self._file.write(data)
        except OSError as error:
            raise _unwritable() from error

    def commit(self) -> int:
        """Put the file into the store, in place of what is there. Its size in bytes."""
        try:
            self._file.flush()
            size = self._file.tell()
            if self._pending is not None:
                os.fsync(self._file.fileno())  # what the database will tell of must survive a power cut
                # a file without a name does not keep its folder from being removed as empty
                self._pending.path.parent.mkdir(parents=True, exist_ok=True)
                self._pending.commit()
                _sync_folder(self._pending.path.parent)
            else:
                self._file.seek(0)
                with _failures(self._key):
                    obstore.put(self._store, self._key, self._file, attributes=self._attributes)
        except (OSError, OutputError) as error:
            raise _unwritable() from error
        return size

    def discard(self) -> None:
        """Forget the file. Harmless after :meth:`commit` or a second time."""
        if self._pending is not None:
            self._pending.discard()
        else:
            self._file.close()

    def __enter__(self) -> "FileWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()


def _open_s3(url: str) -> S3Store:
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    options: ClientConfig = {
        "connect_timeout": "5s",
        "timeout": "15m",
        "allow_http": endpoint.startswith("http:"),
    }
    try:
        return S3Store.from_url(url, client_options=options, retry_config=_S3_RETRIES)
    except (BaseError, ValueError) as error:
        raise SettingsError(
            f"The S3 store {url} cannot be used: correct STEMSPLITTER_STORAGE_URL."
        ) from error


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} is no key of a stored file")
    return key


def _remove_empty_folders(root: Path, key: str) -> None:
    """Remove the folders that only the file of ``key`` was in, but not the uppermost, which is shared."""
    for name in PurePosixPath(key).parents[:-2]:
        try:
            (root / name).rmdir()
        except OSError:
            return


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable() -> StorageError:
    return StorageError("The file cannot be stored: ask the operator to look at the server's storage.")


@contextmanager
def _failures(key: str) -> Iterator[None]:
    """Failures of the store, as ours."""
    try:
        yield
    except FileNotFoundError as error:
        raise FileMissing(f"There is no stored file {key}: it was deleted.") from error
    except (BaseError, OSError) as error:
        raise StorageError("The file store does not answer: ask the operator to look at it.") from error
