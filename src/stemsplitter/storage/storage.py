"""Storage of files in a folder, or in a bucket of S3 or a compatible store."""

import logging
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

from stemsplitter.clock import now
from stemsplitter.errors import SettingsError
from stemsplitter.files.temporary import temporary_folder
from stemsplitter.storage.errors import ATTEMPTS, FileMissing, StorageError, failures, retry
from stemsplitter.storage.links import LinkSigner
from stemsplitter.storage.names import content_disposition
from stemsplitter.storage.s3 import LARGEST_PUT, LONGEST_LINK_S, Bucket
from stemsplitter.storage.writers import BucketWriter, FileWriter, FolderWriter

BLOCK_BYTES = 1 << 20
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}){0,7}")
_UNFINISHED = timedelta(days=1)  # longer than any write takes

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoredFile:
    """A stored file: key, size in bytes, time of the last write (UTC), and ETag."""

    key: str
    size: int
    modified: datetime
    etag: str


@dataclass(frozen=True)
class Usage:
    """Space used by stored files.

    Attributes:
        folders: number of files and bytes of each top-level folder; a lower bound unless ``is_whole``.
        is_whole: true if all files were counted.
        free: free bytes; None for a bucket.
    """

    folders: dict[str, tuple[int, int]]
    is_whole: bool
    free: int | None


class Storage:
    """Files under keys like ``splits/split_1/vocals.mp3``. Thread-safe; writes are atomic.

    Args:
        url: ``file:///FOLDER`` or ``s3://BUCKET[/PREFIX]``.
        secret: the key that signs links to files in a folder.
        base_url: the base URL of those links.
        addressing, public_url: those of :class:`~stemsplitter.storage.s3.Bucket`.

    Methods raise ValueError for an invalid key, FileMissing, or StorageError.

    Raises:
        SettingsError: the URL is not supported, the folder cannot be created, or there are no credentials.
    """

    def __init__(
        self, url: str, secret: bytes, base_url: str, *, addressing: str = "auto", public_url: str = ""
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self.links = LinkSigner(secret)
        self._folder: Path | None = None
        self._bucket: Bucket | None = None
        self._store: LocalStore | S3Store
        self._quick: LocalStore | S3Store
        parts = urlsplit(url)
        if parts.scheme == "file" and parts.path.startswith("/") and not parts.netloc:
            self._folder = Path(unquote(parts.path))
            try:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._store = self._quick = LocalStore(self._folder)
            except (OSError, BaseError) as error:
                raise SettingsError(
                    f"The storage folder {self._folder} cannot be made: set STEMSPLITTER_STORAGE_URL."
                ) from error
        elif parts.scheme == "s3" and parts.netloc:
            self._bucket = Bucket(url, addressing, public_url)
            self._store, self._quick = self._bucket.open(), self._bucket.open(quick=True)
        else:
            raise SettingsError("STEMSPLITTER_STORAGE_URL must be file:///FOLDER or s3://BUCKET.")

    def verify(self) -> None:
        """Check the settings of the store. A store that is only unavailable now is logged.

        Raises:
            SettingsError: the bucket, its region or the credentials are wrong.
        """
        try:
            self._ask()
        except (BaseError, OSError) as error:
            reason = self._bucket.explain(error) if self._bucket else None
            if reason:
                raise SettingsError(reason) from error
            _log.warning("the file storage is unavailable: %s", error)

    def writer(self, key: str, mime: str, filename: str = "") -> FileWriter:
        """Return a writer of the file, which is stored by its ``commit``.

        ``mime`` and ``filename`` are the defaults of downloads from S3.
        """
        key = _checked(key)
        if self._folder is not None:
            return FolderWriter(self._folder / key)
        attributes = {"Content-Type": mime}
        if filename:
            attributes["Content-Disposition"] = content_disposition(filename)
        assert isinstance(self._store, S3Store)
        return BucketWriter(self._store, key, attributes)

    def put_file(self, key: str, path: str | os.PathLike[str], mime: str, filename: str = "") -> int:
        """Copy a file to the store, replacing an existing one. Returns its size in bytes."""
        with Path(path).open("rb") as source:
            return self.put_stream(key, iter(lambda: source.read(BLOCK_BYTES), b""), mime, filename)

    def put_stream(self, key: str, parts: Iterable[bytes], mime: str, filename: str = "") -> int:
        """Store the concatenation of ``parts``, replacing an existing file. Returns its size in bytes.

        If ``parts`` raises, nothing is changed.
        """
        with self.writer(key, mime, filename) as file:
            for part in parts:
                file.write(part)
            return file.commit()

    def copy(self, source: str, target: str) -> int:
        """Copy a file, replacing an existing one. Returns its size in bytes. S3 copies on the server side."""
        _checked(target)
        if self._folder is not None:
            return self.put_file(target, self.path_of(source)[0], "")
        _checked(source)
        retry(source, lambda: obstore.copy(self._store, source, target))
        return self.size(target)

    def read(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the bytes from ``start`` to ``end`` (exclusive; by default the end of the file), in blocks."""
        if start <= 0 and end is None:
            with failures(key):
                yield from obstore.get(self._store, _checked(key)).stream(BLOCK_BYTES)
            return
        size = self.size(key)
        start, end = max(start, 0), size if end is None else min(end, size)
        if start >= end:
            return
        with failures(key):
            yield from obstore.get(self._store, key, options={"range": (start, end)}).stream(BLOCK_BYTES)

    @contextmanager
    def local_file(self, key: str) -> Iterator[Path]:
        """Provide a local path of the file within the block: its own path, or that of a temporary copy from S3."""
        if self._folder is not None:
            yield self.path_of(key)[0]
            return
        with temporary_folder() as folder:
            path = folder / _checked(key).rpartition("/")[2]
            with path.open("wb") as file:
                file.writelines(self.read(key))
            yield path

    @property
    def folder(self) -> Path | None:
        """The folder of the files; None for a bucket."""
        return self._folder

    @property
    def is_folder(self) -> bool:
        """True if the files are on this disk."""
        return self._folder is not None

    def path_of(self, key: str) -> tuple[Path, os.stat_result]:
        """Return path and status of a file in the folder. Raises FileMissing for storage in S3."""
        if self._folder is None:
            raise FileMissing("Files in S3 have links of their own.")
        path = self._folder / _checked(key)
        with failures(key):
            return path, path.stat()

    def size(self, key: str) -> int:
        """Return the size of the file in bytes."""
        return self.look(key).size

    def look(self, key: str) -> StoredFile:
        """Return the properties of the file."""
        _checked(key)
        found = retry(key, lambda: obstore.head(self._store, key))
        return StoredFile(key, found["size"], found["last_modified"], found["e_tag"] or "")

    def delete(self, key: str) -> None:
        """Delete the file if it exists."""
        _checked(key)
        with suppress(FileMissing):
            retry(key, lambda: obstore.delete(self._store, key))
        if self._folder is not None:
            _remove_empty_folders(self._folder, key)

    def delete_prefix(self, prefix: str) -> int:
        """Delete all files in the folder ``prefix``. Returns their number."""
        keys = [stored.key for stored in self.list_prefix(prefix)]
        for key in keys:
            self.delete(key)
        if self._folder is not None:
            shutil.rmtree(self._folder / prefix, ignore_errors=True)
        return len(keys)

    def list_prefix(self, prefix: str = "") -> Iterator[StoredFile]:
        """Yield the files in the folder ``prefix``, by default all, in no particular order."""
        if prefix:
            _checked(prefix)
        last: str | None = None
        for tried in range(ATTEMPTS):
            try:
                with failures(prefix):
                    for found in obstore.list(self._store, prefix or None, offset=last, chunk_size=1000):
                        for entry in found:
                            yield StoredFile(
                                entry["path"], entry["size"], entry["last_modified"], entry["e_tag"] or ""
                            )
                            last = entry["path"]
                return
            except StorageError:
                if tried == ATTEMPTS - 1:
                    raise

    def signed_url(self, key: str, filename: str, mime: str, seconds: float) -> str:
        """Return a signed URL that downloads the file with that name and media type, for ``seconds``.

        For S3 this is :meth:`direct_url` if that is valid long enough. With the credentials of a role, or for more
        than 7 days, it is not; then it is a URL of this server, which redirects to the store.
        """
        _checked(key)
        if self._bucket is not None and seconds <= LONGEST_LINK_S and not self._bucket.is_temporary:
            return self._bucket.get_url(key, filename, mime, seconds)
        return self._base_url + self.links.path(key, filename, mime, seconds)

    def direct_url(self, key: str, filename: str, mime: str, seconds: float) -> str | None:
        """Return a signed URL of the store that downloads the file, None for a folder.

        It is valid for ``seconds``, at most 7 days, and not longer than the credentials of a role.
        """
        _checked(key)
        return None if self._bucket is None else self._bucket.get_url(key, filename, mime, seconds)

    def upload_url(self, key: str, mime: str, length: int, seconds: float) -> str | None:
        """Return a signed URL of the store to PUT a file of that media type and length, valid for ``seconds``.

        Returns None for a folder, and for more than 5 GiB.
        """
        _checked(key)
        if self._bucket is None or length > LARGEST_PUT:
            return None
        return self._bucket.put_url(key, mime, length, seconds)

    @property
    def public_origin(self) -> str | None:
        """Scheme, host and port of the store's URLs; None for a folder."""
        return None if self._bucket is None else self._bucket.origin

    def abort_writes(self) -> int:
        """Abort multipart uploads to S3 that were initiated more than a day ago; return their number."""
        return 0 if self._bucket is None else self._bucket.abort_writes(now() - _UNFINISHED)

    def usage(self, deadline_s: float) -> "Usage":
        """Count the stored files and their bytes, for at most ``deadline_s`` seconds."""
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
        """Raise StorageError if the store does not respond within a few seconds."""
        with failures(""):
            self._ask()

    def _ask(self) -> None:
        """Send a cheap request with a short timeout."""
        next(iter(obstore.list(self._quick, "check", chunk_size=1)), None)


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} is no key of a stored file")
    return key


def _remove_empty_folders(root: Path, key: str) -> None:
    """Remove the empty parent folders of ``key``, except the top-level one."""
    for name in PurePosixPath(key).parents[:-2]:
        try:
            (root / name).rmdir()
        except OSError:
            return
