"""Backup of a running server to a folder, and restore.

It supports a SQLite database and files in a folder; docs/backup.md describes the other cases.

The database is copied first: all files of its rows exist by then, and files that are added later are orphans, which
maintenance deletes. In the other order, rows could refer to files that are not in the backup.
"""

import json
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from stemsplitter.accounts import secret_box
from stemsplitter.errors import RequestError
from stemsplitter.files.atomic import output_error
from stemsplitter.files.verified import hash_file
from stemsplitter.settings import Settings
from stemsplitter.version import __version__

MANIFEST, DATABASE, FILES, SECRET = "manifest.json", "stemsplitter.db", "files", secret_box.FILE
# names of files in the storage; other files in its folder do not belong to it, or are incomplete
_STORED = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


@dataclass(frozen=True)
class Copied:
    """Content of a backup: the number of ``files`` in the storage, and the ``size`` of files and database in bytes."""

    files: int
    size: int
    has_secret: bool


@dataclass(frozen=True)
class _Places:
    database: Path
    files: Path
    secret: Path


def back_up(settings: Settings, folder: Path) -> Copied:
    """Copy database, files and secret key to a new folder, atomically.

    The server may be running. Files that it deletes meanwhile may be missing.

    Raises:
        RequestError: the data is not in SQLite and a folder, does not exist, or ``folder`` exists.
        OutputError: the backup cannot be written.
    """
    places = _places(settings)
    if not places.database.is_file():
        raise RequestError(
            f"There is no database {places.database}: set the server's data folder with --data-dir."
        )
    if os.path.lexists(folder):
        raise RequestError(f"{folder} already exists: choose a new folder.")
    with _written(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(
            tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent)
        )  # readable by its owner only
        try:
            _copy_database(places.database, part / DATABASE)
            if not settings.secret_key and places.secret.is_file():
                shutil.copy2(places.secret, part / SECRET)
            _copy_tree(places.files, part / FILES)
            manifest = {
                "stemsplitter": __version__,
                "made_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
                "sha256": {name: hash_file(part / name) for name in sorted(_names(part))},
            }
            (part / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
            os.sync()  # once, instead of for each of thousands of files
            part.rename(folder)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    return _summary(folder, list(manifest["sha256"]))


def restore(settings: Settings, folder: Path) -> Copied:
    """Restore a server's data from a backup, after verifying its checksums.

    The database is restored last; after a failure everything is removed.

    Raises:
        RequestError: the settings are not for SQLite and a folder, there is data already, or the backup is damaged.
        OutputError: the data cannot be written.
    """
    places = _places(settings)
    names = _checked(folder)
    _check_empty(places)
    has_secret = _check_secret(settings, places.secret, folder / SECRET if SECRET in names else None)
    made: list[Path] = []
    with _written(places.database):
        try:
            for place in (places.secret.parent, places.database.parent, places.files):
                place.mkdir(mode=0o700, parents=True, exist_ok=True)
            made += [places.files / each.name for each in _entries(folder / FILES)]
            _copy_tree(folder / FILES, places.files)
            if not has_secret:
                made.append(places.secret)
                shutil.copy2(folder / SECRET, places.secret)
            part = places.database.with_name(f".{places.database.name}.restored")
            made.append(part)
            shutil.copy2(folder / DATABASE, part)
            os.sync()
            part.rename(places.database)
        except BaseException:
            for path in made:
                _remove(path)
            raise
    return _summary(folder, names)


def _places(settings: Settings) -> _Places:
    """Return the paths of the data. Raises RequestError if it is not in files."""
    try:
        database = make_url(settings.database)
    except ArgumentError as error:
        raise RequestError("DATABASE_URL is not a database URL: write sqlite:///FILE.") from error
    store = urlsplit(settings.storage)
    if database.get_backend_name() != "sqlite" or not database.database or store.scheme != "file":
        raise RequestError(
            "This command copies a SQLite database and a folder of files: see docs/backup.md for PostgreSQL and S3."
        )
    return _Places(Path(database.database), Path(unquote(store.path)), settings.data_dir / SECRET)


def _copy_database(source: Path, target: Path) -> None:
    """Copy a snapshot with SQLite's backup API: the file alone lacks the write-ahead log."""
    with closing(sqlite3.connect(source, timeout=30)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
        new.execute("PRAGMA journal_mode=DELETE")  # a single file


def _copy_tree(source: Path, target: Path) -> None:
    """Copy the files of the storage, which are complete and immutable."""
    target.mkdir(exist_ok=True)
    for name in _names(source):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copy2(source / name, target / name)
        except FileNotFoundError:
            if (source / name).exists():
                raise
            # it was deleted meanwhile


def _names(folder: Path) -> Iterator[str]:
    """Yield the storage keys of all files in a folder."""
    for place, _, files in os.walk(folder):
        for file in files:
            name = (Path(place) / file).relative_to(folder).as_posix()
            if _STORED.fullmatch(name):
                yield name


def _checked(folder: Path) -> list[str]:
    """Return the names of a backup's files after verifying their checksums."""
    try:
        sums = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["sha256"]
        names = list(dict[str, str](sums))
        if DATABASE not in names or not all(map(_STORED.fullmatch, names)):
            raise ValueError(f"{MANIFEST} is not of a backup")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RequestError(
            f"{folder} is not a backup: choose a folder that `stemsplitter backup` created."
        ) from error
    for name in names:
        try:
            right = hash_file(folder / name) == sums[name]
        except OSError as error:
            raise _damaged(folder, name) from error
        if not right:
            raise _damaged(folder, name)
    return names


def _damaged(folder: Path, name: str) -> RequestError:
    return RequestError(
        f"The backup is damaged: {folder / name} does not match its checksum; use another backup."
    )


def _check_empty(places: _Places) -> None:
    # SQLite would apply a remaining write-ahead log to the restored database
    paths = [
        places.database.with_name(places.database.name + end) for end in ("", "-wal", "-shm", "-journal")
    ]
    if found := [path for path in (*paths, *_entries(places.files)) if path.exists()]:
        raise RequestError(f"{found[0]} already exists: stop the server and move its data away.")


def _check_secret(settings: Settings, here: Path, copy: Path | None) -> bool:
    """Return true if the secret key is set. Raises RequestError if it differs from the backup's, or there is none."""
    key = settings.secret_key or (here.read_text() if here.exists() else "")
    if key and copy is not None and key.strip() != copy.read_text().strip():
        raise RequestError(
            f"The backup has a different secret key: unset STEMSPLITTER_SECRET_KEY, or move {here} away."
        )
    if not key and copy is None:
        raise RequestError(
            "The backup has no secret key, as it was not in a file: set STEMSPLITTER_SECRET_KEY to the server's key."
        )
    return bool(key)


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _summary(folder: Path, names: list[str]) -> Copied:
    files = [name for name in names if name.startswith(f"{FILES}/")]
    size = sum((folder / name).stat().st_size for name in [DATABASE, *files])
    return Copied(len(files), size, SECRET in names)


@contextmanager
def _written(path: Path) -> Iterator[None]:
    """Convert errors of the system or of SQLite while writing to ``path``."""
    try:
        yield
    except sqlite3.Error as error:
        raise RequestError(
            f"The database cannot be copied ({error}): check the database and the disk."
        ) from error
    except OSError as error:
        raise output_error(path, error) from error
