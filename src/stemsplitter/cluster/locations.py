"""Folders that all machines have, and prefixes of buckets: the songs of a library and its stems."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError

from stemsplitter.errors import AudioError
from stemsplitter.files.names import is_song_name
from stemsplitter.files.temporary import temporary_folder
from stemsplitter.library.manifest import content_of
from stemsplitter.storage.errors import ATTEMPTS, StorageError
from stemsplitter.storage.s3 import Bucket

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import S3Store

LISTED = 1000  # keys of a bucket in memory


@dataclass(frozen=True)
class FoundSong:
    """A song of a library.

    ``key`` is its path in the library. ``content`` identifies its content: ``etag:…`` in a bucket (``modified:…``
    if the store has no entity tags), None in a folder, where it would have to be read.
    """

    key: str
    content: str | None = None


class Folder:
    """A folder that the client and all workers see under one path."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def songs(self) -> Iterator[FoundSong]:
        """Yield the songs, folder by folder, in order. Hidden files and folders are skipped."""
        for root, folders, files in os.walk(self._path):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(files):
                if is_song_name(name):
                    yield FoundSong((Path(root) / name).relative_to(self._path).as_posix())

    def content(self, key: str) -> str | None:
        """Return the SHA-256 of a song, None if it cannot be read."""
        return content_of(self._path / key)

    @contextmanager
    def reading(self, key: str) -> Iterator[Path]:
        """Yield the path of a song."""
        yield self._path / key

    @contextmanager
    def writing(self, key: str) -> Iterator[Path]:
        """Yield the folder ``key``, for files that are renamed when they are complete."""
        yield self._path / key

    def path(self, key: str) -> str:
        """Return what names a file for people."""
        return str(self._path / key)


class BucketFolder:
    """A prefix of a bucket. Credentials and endpoint are those of the process, as for the AWS tools."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    @property
    def _store(self) -> "S3Store":
        return _open(self._url)

    def songs(self) -> Iterator[FoundSong]:
        """Yield the songs in the order of their keys, listing as they are consumed."""
        last: str | None = None
        failures = 0
        while True:
            try:
                for page in obstore.list(self._store, offset=last, chunk_size=LISTED):
                    for entry in page:
                        if is_song_name(entry["path"].rpartition("/")[2]):
                            yield FoundSong(entry["path"], _content(entry))
                        last, failures = entry["path"], 0
                return
            except (OSError, BaseError) as error:
                failures += 1
                if failures == ATTEMPTS:
                    raise StorageError(f"{self._url} cannot be listed: {error}") from error

    def content(self, key: str) -> str | None:
        """Return the entity tag of a song, None if it cannot be read."""
        try:
            return _content(obstore.head(self._store, key))
        except (OSError, ValueError, BaseError):
            return None

    @contextmanager
    def reading(self, key: str) -> Iterator[Path]:
        """Copy a song into a temporary file and yield its path.

        Raises:
            AudioError: there is no such song.
        """
        with temporary_folder() as folder:
            path = folder / Path(key).name
            try:
                with path.open("wb") as file:
                    for block in obstore.get(self._store, key):
                        file.write(block)
            except FileNotFoundError as error:
                raise AudioError(f"{self.path(key)} does not exist: list the bucket again.") from error
            yield path

    @contextmanager
    def writing(self, key: str) -> Iterator[Path]:
        """Yield a temporary folder whose files are stored under ``key`` at the end, unless the block fails."""
        with temporary_folder() as folder:
            yield folder
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    obstore.put(self._store, f"{key}/{path.relative_to(folder).as_posix()}", path)

    def path(self, key: str) -> str:
        """Return what names a file for people."""
        return f"{self._url}/{key}"


Location = Folder | BucketFolder


def open_location(location: str) -> Location:
    """Return the folder or, for ``s3://BUCKET/PREFIX``, the prefix of a bucket."""
    return BucketFolder(location) if location.startswith("s3://") else Folder(location)


def _content(entry: "ObjectMeta") -> str:
    """Return what identifies the content: the entity tag, or for a store without them, key, size and time."""
    if (entry["e_tag"] or "").strip('"'):
        return f"etag:{entry['e_tag']}"
    return f"modified:{entry['path']}:{entry['size']}:{entry['last_modified'].isoformat()}"


@lru_cache(maxsize=8)
def _open(url: str) -> "S3Store":
    return Bucket(url).open()
