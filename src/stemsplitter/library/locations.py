"""Folders that all machines have, and prefixes of buckets: the songs of a library and its stems."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore
from obstore.exceptions import BaseError

from stemsplitter.errors import AudioError
from stemsplitter.files.atomic import AtomicFile, output_error
from stemsplitter.files.folder import OutputFolder
from stemsplitter.files.names import is_song_name, shown
from stemsplitter.files.temporary import temporary_folder
from stemsplitter.library.manifest import content_of
from stemsplitter.storage.errors import ATTEMPTS, StorageError
from stemsplitter.storage.s3 import Bucket

if TYPE_CHECKING:
    from obstore.store import S3Store

LISTED = 1000  # keys of a bucket in memory
_MD5 = re.compile(r'"[0-9a-fA-F]{32}(-[0-9]+)?"')


@dataclass(frozen=True)
class FoundSong:
    """A song of a library.

    ``key`` is its path in the library. ``content`` identifies its content (:func:`content_of_tag`); None in a folder
    and in a bucket without strong entity tags, where it would have to be read.
    """

    key: str
    content: str | None = None


@dataclass(frozen=True)
class LocalSong:
    """A song on this machine; ``content`` identifies the bytes in the file, None if they cannot be read."""

    path: Path
    content: str | None


@dataclass(frozen=True)
class StemFolder:
    """A folder of this machine for the stems of a song; ``tags`` are the entity tags of those stored in a bucket."""

    path: Path
    tags: dict[str, str] = field(default_factory=dict)

    def tag_of(self, name: str) -> dict[str, str]:
        """Return the entity tag of a file as a field of its stem in a manifest."""
        return {"etag": self.tags[name]} if name in self.tags else {}


class Folder:
    """A folder that the client and all workers see under one path."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def songs(self) -> Iterator[FoundSong]:
        """Yield the songs, folder by folder, in order. Hidden files and folders are skipped.

        A folder that cannot be read is a song that cannot be read, so that it is reported.
        """
        unreadable: list[OSError] = []
        for root, folders, files in os.walk(self._path, onerror=unreadable.append):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(files):
                path = Path(root) / name
                if is_song_name(name) and os.path.isfile(path):  # noqa: PTH113 of any name
                    yield FoundSong(path.relative_to(self._path).as_posix())
        for error in unreadable:
            yield FoundSong(Path(error.filename).relative_to(self._path).as_posix())

    def content(self, key: str) -> str | None:
        """Return the SHA-256 of a song, None if it cannot be read."""
        return content_of(self._path / key)

    @contextmanager
    def reading(self, key: str) -> Iterator[LocalSong]:
        """Yield a song.

        Raises:
            AudioError: it is a folder.
        """
        path = self._path / key
        if path.is_dir():
            raise AudioError(f"The folder {shown(path)} cannot be read: change its permissions.")
        yield LocalSong(path, content_of(path))

    @contextmanager
    def writing(self, key: str) -> Iterator[StemFolder]:
        """Yield the folder ``key``, for files that are renamed when they are complete."""
        yield StemFolder(self._path / key)

    @contextmanager
    def storing(self, key: str) -> Iterator[StemFolder]:
        """Yield a temporary folder whose files appear in the folder ``key`` at the end, unless the block fails.

        Raises:
            OutputError: they cannot be written.
        """
        with temporary_folder() as folder:
            yield StemFolder(folder)
            target = OutputFolder(self._path / key)
            is_complete = False
            try:
                _copy_files(folder, target.path)
                is_complete = True
            finally:
                target.release(keep=is_complete)

    def check(self) -> None:
        """Raise OutputError if files cannot be written."""
        OutputFolder(self._path).release(keep=False)

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
                            yield FoundSong(entry["path"], self._content(entry["path"], entry["e_tag"]))
                        last, failures = entry["path"], 0
                return
            except (OSError, BaseError) as error:
                failures += 1
                if failures == ATTEMPTS:
                    raise self._refused("listed", error) from error

    def content(self, key: str) -> str | None:
        """Return what identifies the content of a song, reading it; None if it cannot be read."""
        try:
            with self.reading(key) as song:
                return song.content
        except (AudioError, StorageError, OSError):
            return None

    @contextmanager
    def reading(self, key: str) -> Iterator[LocalSong]:
        """Copy a song into a temporary file and yield it.

        Raises:
            AudioError: there is no such song.
            StorageError: it cannot be read.
        """
        with temporary_folder() as folder:
            path = folder / Path(key).name
            try:
                found = obstore.get(self._store, key)
                with path.open("wb") as file:
                    for block in found:
                        file.write(block)
            except FileNotFoundError as error:
                raise AudioError(f"{self.path(key)} was deleted since it was listed.") from error
            except (ValueError, BaseError) as error:
                raise self._refused("read", error) from error
            yield LocalSong(path, self._content(key, found.meta["e_tag"]) or content_of(path))

    @contextmanager
    def writing(self, key: str) -> Iterator[StemFolder]:
        """Yield a temporary folder whose files are stored under ``key`` at the end, unless the block fails.

        Raises:
            StorageError: they cannot be stored.
        """
        with temporary_folder() as path:
            folder = StemFolder(path)
            yield folder
            for file in sorted(path.iterdir()):
                if file.is_file():
                    try:
                        stored = obstore.put(self._store, f"{key}/{file.name}", file)
                    except (FileNotFoundError, ValueError, BaseError) as error:  # not found: the bucket
                        raise self._refused("written", error) from error
                    if tag := _strong(stored["e_tag"]):
                        folder.tags[file.name] = tag

    storing = writing

    def check(self) -> None:
        """Raise StorageError if the bucket does not exist or does not accept the credentials."""
        try:
            next(iter(obstore.list(self._store, chunk_size=1)), None)
        except (OSError, BaseError) as error:
            raise self._refused("written", error) from error

    def path(self, key: str) -> str:
        """Return what names a file for people."""
        return f"{self._url}/{key}"

    def tags(self) -> dict[str, str | None]:
        """Return the strong entity tags of the files of a song's folder by name, None for a file without one.

        Raises:
            StorageError: they cannot be listed.
        """
        bucket, _, prefix = self._url.removeprefix("s3://").partition("/")
        try:
            entries = [entry for page in obstore.list(_open(f"s3://{bucket}"), prefix) for entry in page]
        except (OSError, BaseError) as error:
            raise self._refused("listed", error) from error
        return {entry["path"].rpartition("/")[2]: _strong(entry["e_tag"]) for entry in entries}

    def _refused(self, what: str, error: Exception) -> StorageError:
        """Return the error of a request to the store, without what its client prints for programmers."""
        reason = Bucket(self._url).explain(error, "the address")
        return StorageError(
            reason or f"{self._url} cannot be {what}: {str(error).partition(' Debug source')[0]}"
        )

    def _content(self, key: str, tag: str | None) -> str | None:
        return content_of_tag(self.path(key), tag)


Location = Folder | BucketFolder


def open_location(location: str) -> Location:
    """Return the folder or, for ``s3://BUCKET/PREFIX``, the prefix of a bucket."""
    return BucketFolder(location) if location.startswith("s3://") else Folder(location)


def content_of_tag(url: str, tag: str | None) -> str | None:
    """Return what identifies the content of an object in a bucket by its entity tag; None if the tag does not.

    A weak tag (``W/"…"``) may stay the same when bytes change. A strong one changes with them, so it identifies the
    versions of one object (RFC 9110 §8.8.3). Only one in the form of an MD5, or of the MD5 of parts, which S3 makes of
    the content, identifies it whatever the object's name; any other is taken together with the URL.
    """
    if (strong := _strong(tag)) is None:
        return None
    return f"etag:{strong}" if _MD5.fullmatch(strong) else f"etag:{strong} {url}"


def are_stored(line: Mapping[str, Any]) -> bool:
    """Return True unless a stem of a line of a manifest is no longer in its bucket, or its entity tag is another."""
    found: dict[str, Mapping[str, str | None]] = {}
    stems = [stem for stem in line["stems"].values() if stem["path"].startswith("s3://")]
    for stem in stems:
        folder, _, name = stem["path"].rpartition("/")
        if folder not in found:
            found[folder] = BucketFolder(folder).tags()
        if name not in found[folder]:
            return False
        tag = found[folder][name]
        if tag is not None and tag != stem.get("etag", tag):
            return False
    return True


def _strong(tag: str | None) -> str | None:
    """Return an entity tag in quotes; None if there is none or it is weak. Some stores leave the quotes out."""
    opaque = (tag or "").strip('"')
    return None if not opaque or opaque.startswith("W/") else f'"{opaque}"'


def _copy_files(folder: Path, target: Path) -> None:
    """Copy all files of a folder, which appear in ``target`` when all are complete. Raises OutputError."""
    with ExitStack() as stack:
        copies = []
        for path in sorted(folder.iterdir()):
            copy = stack.enter_context(AtomicFile(target / path.name))
            try:
                with path.open("rb") as file:
                    shutil.copyfileobj(file, copy.file)
            except OSError as error:
                raise output_error(copy.path, error) from error
            copies.append(copy)
        for copy in copies:
            copy.commit()


@lru_cache(maxsize=8)
def _open(url: str) -> "S3Store":
    return Bucket(url).open()
