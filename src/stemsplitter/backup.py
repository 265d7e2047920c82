"""A copy of a server's data in a folder, made while it runs, and a server's data made from such a copy.

For a server whose database is SQLite and whose files are in a folder. docs/backup.md says what to do for others.

The database is copied first: every file that it names is there by then, and what comes later is a file that no row
names, which the server sweeps up. The other way round, rows would name files that are not in the copy.
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
# what the store calls its files; others in its folder are not its own, or not whole yet
_STORED = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


@dataclass(frozen=True)
class Copied:
    """What a backup holds: ``files`` of the store, their ``size`` and the database's in bytes."""

    files: int
    size: int
    has_secret: bool


@dataclass(frozen=True)
class _Places:
    database: Path
    files: Path
    secret: Path


def back_up(settings: Settings, folder: Path) -> Copied:
    """Copy database, files and secret key into a new folder, which is there whole or not at all.

    The server may run. What it deletes meanwhile may be missing among the files.

    Raises:
        RequestError: the data is not in SQLite and a folder, there is none, or ``folder`` exists.
        OutputError: it cannot be written.
    """
    places = _places(settings)
    if not places.database.is_file():
        raise RequestError(
            f"There is no database {places.database}: name the server's folder with --data-dir."
        )
    if os.path.lexists(folder):
        raise RequestError(f"{folder} is there already: name a folder that is to be made.")
    with _written(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))  # its owner's alone
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
            os.sync()  # once, instead of a wait for each of thousands of files
            part.rename(folder)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    return _summary(folder, list(manifest["sha256"]))


def restore(settings: Settings, folder: Path) -> Copied:
    """Make a server's data from a backup, which is compared with its checksums before anything is written.

    The database comes last: without it nothing was restored, and after a failure nothing stays.

    Raises:
        RequestError: the data is not to be in SQLite and a folder, there is some already, or the backup is damaged.
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
    """Where the data is. Raises RequestError where it is elsewhere than in files."""
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
    """A copy as of one moment, through SQLite itself: the file alone lacks what is in its write-ahead log."""
    with closing(sqlite3.connect(source, timeout=30)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
        new.execute("PRAGMA journal_mode=DELETE")  # one file, with nothing beside it


def _copy_tree(source: Path, target: Path) -> None:
    """Copy the store's files. Each is whole under its name, and is never written to again."""
    target.mkdir(exist_ok=True)
    for name in _names(source):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copy2(source / name, target / name)
        except FileNotFoundError:
            if (source / name).exists():
                raise
            # it was deleted a moment ago, and so was what names it


def _names(folder: Path) -> Iterator[str]:
    """Every file below a folder, as the store names it."""
    for place, _, files in os.walk(folder):
        for file in files:
            name = (Path(place) / file).relative_to(folder).as_posix()
            if _STORED.fullmatch(name):
                yield name


def _checked(folder: Path) -> list[str]:
    """The names of a backup's files, all of which are there and as they were written."""
    try:
        sums = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["sha256"]
        names = list(dict[str, str](sums))
        if DATABASE not in names or not all(map(_STORED.fullmatch, names)):
            raise ValueError(f"{MANIFEST} is not a backup's")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RequestError(
            f"{folder} is no backup: name a folder that `stemsplitter backup` made."
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
    return RequestError(f"The backup is damaged, {folder / name} is not as it was written: take another.")


def _check_empty(places: _Places) -> None:
    # a write-ahead log that was left behind would be written into the restored database
    there = [
        places.database.with_name(places.database.name + end) for end in ("", "-wal", "-shm", "-journal")
    ]
    if found := [path for path in (*there, *_entries(places.files)) if path.exists()]:
        raise RequestError(f"{found[0]} is there already: stop the server and move its data away first.")


def _check_secret(settings: Settings, here: Path, copy: Path | None) -> bool:
    """Whether the secret key is here already. Raises RequestError where it is another than the backup's, or nowhere."""
    key = settings.secret_key or (here.read_text() if here.exists() else "")
    if key and copy is not None and key.strip() != copy.read_text().strip():
        raise RequestError(
            "The backup is of a server with another secret key: unset STEMSPLITTER_SECRET_KEY, or move "
            f"{here} away."
        )
    if not key and copy is None:
        raise RequestError(
            "The backup holds no secret key, as its server's was not in a file: set STEMSPLITTER_SECRET_KEY to it."
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
    """What the system, or SQLite, says against copying to ``path``, in one sentence."""
    try:
        yield
    except sqlite3.Error as error:
        raise RequestError(f"The database cannot be copied ({error}): look at it, or at the disk.") from error
    except OSError as error:
        raise output_error(path, error) from error
