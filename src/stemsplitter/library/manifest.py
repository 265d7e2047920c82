"""The manifest of a library: a file with one JSON object per line for each song that was separated or failed."""

import json
import os
import sqlite3
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stemsplitter.errors import RequestError
from stemsplitter.files.names import shown
from stemsplitter.files.verified import hash_file
from stemsplitter.library.parquet import check_installed, write_parquet


def content_of(song: Path) -> str | None:
    """Return what identifies the content of a file in a manifest, ``sha256:HEX``; None if it cannot be read."""
    try:
        return f"sha256:{hash_file(song)}"
    except OSError:
        return None


class Manifest:
    """Appends to the manifest ``path``; any thread may call the methods.

    ``settings`` are those of the run. Lines of runs with other settings stay, but do not count as done. With
    ``parquet``, :meth:`close` also writes all lines to a Parquet file beside the manifest.

    Raises:
        RequestError: the file cannot be read or written, or is not a manifest, or the extra for Parquet is missing.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], *, parquet: bool = False) -> None:
        if parquet:
            check_installed()
        self._path, self._settings = path, json.loads(json.dumps(settings))
        self._parquet = parquet
        self._lock = threading.Lock()
        self._done = _Places()
        self._size = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                self._read()
            self._file = path.open("a+b")
            self._file.truncate(self._size)  # removes the last line of a run that was killed while it wrote
        except OSError as error:
            raise RequestError(
                f"The manifest {shown(path)} cannot be written ({error.strerror}): name another file."
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RequestError(
                f"{shown(path)} is not a manifest of this program: name another file."
            ) from error

    def finished(self, content: str) -> dict[str, Any] | None:
        """Return the line of the song with this content and the settings of the run, None if it is not done.

        ``content`` is ``sha256:HEX``, or ``etag:TAG`` for a song in a bucket. Files in a folder must exist.
        """
        with self._lock:
            if (place := self._done.get(content)) is None:
                return None
            offset, length = place
            line: dict[str, Any] = json.loads(os.pread(self._file.fileno(), length, offset))
        exist = all("://" in file or os.path.lexists(file) for file in line["files"])
        return line if exist else None

    def add(self, song: str, content: str | None, result: Mapping[str, Any]) -> None:
        """Append the line of a song; ``result`` has its ``files``, or an ``error``."""
        line = {"song": song, "content": content, "settings": self._settings, **result}
        with self._lock:
            text = json.dumps(line).encode() + b"\n"
            self._file.write(text)
            self._file.flush()
            self._remember(line, len(text))

    def close(self) -> None:
        """Close the file, and write the Parquet file. Raises OutputError if that cannot be written."""
        self._file.close()
        self._done.close()
        if self._parquet:
            write_parquet(self._path)

    def _read(self) -> None:
        """Read the complete lines of earlier runs."""
        with self._path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    self._remember(json.loads(line), len(line))

    def _remember(self, entry: Mapping[str, Any], length: int) -> None:
        """Note where the next line, of ``length`` bytes, is."""
        if entry["content"] and entry["settings"] == self._settings and entry.get("files"):
            self._done.set(entry["content"], self._size, length)
        self._size += length


class _Places:
    """Offsets and lengths of lines in the manifest by content, in a temporary file: there may be a million."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute(
            "CREATE TABLE lines (content TEXT PRIMARY KEY, offset INTEGER, length INTEGER) WITHOUT ROWID"
        )

    def set(self, content: str, offset: int, length: int) -> None:
        self._database.execute("INSERT OR REPLACE INTO lines VALUES (?, ?, ?)", (content, offset, length))

    def get(self, content: str) -> tuple[int, int] | None:
        query = "SELECT offset, length FROM lines WHERE content = ?"
        row: tuple[int, int] | None = self._database.execute(query, (content,)).fetchone()
        return row

    def close(self) -> None:
        self._database.close()
