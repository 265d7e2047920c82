"""Songs to separate."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from stemsplitter.errors import RequestError
from stemsplitter.files.names import is_song_name

STANDARD_INPUT = Path("-")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+(.*)", re.DOTALL)  # a Path has one slash for several


@dataclass(frozen=True)
class Song:
    """A song.

    ``folder`` is the path of its folder in the folder that was searched, ``.`` for a song that was named. ``label``
    replaces the path in reports.
    """

    path: Path
    folder: Path = Path()
    is_named: bool = True
    label: Path | None = None

    @property
    def shown(self) -> Path:
        return self.label or self.path


# Returns the files that a run may have written for each song.
FilesOf = Callable[[list[Song]], dict[Song, tuple[Path, ...]]]


def find_songs(sources: Iterable[Path], output: Path, files_of: FilesOf) -> list[Song]:
    """Return the songs among ``sources`` and in the folders among them, without duplicates.

    Hidden files and the stems that an earlier run wrote to ``output`` are skipped, whatever path leads to it. A folder
    without songs, or that cannot be read, is returned itself, so that its turn reports an error.

    Raises:
        RequestError: a source is a URL.
    """
    found: dict[Path, Song] = {}
    for source in sources:
        if url := url_of(source):
            raise RequestError(
                f"{url} is a URL: download the file and name its path, or create a split from the "
                "URL on a server."
            )
        songs = [
            Song(path, path.parent.relative_to(source), is_named=False)
            for path in (_songs_in(source, output) if is_folder(source) else ())
        ]
        for song in songs or [Song(source)]:
            if song.is_named or song.path not in found:
                found[song.path] = song
    return _without_stems(list(found.values()), output, files_of)


def url_of(source: Path) -> str | None:
    """Return the URL that was given as a path; None for the path of a file or a folder."""
    match = _URL.fullmatch(str(source))
    return f"{match[1]}://{match[2]}" if match and not os.path.lexists(source) else None


def is_folder(path: Path) -> bool:
    """Return True for a folder, False for a name that cannot be looked up."""
    return os.path.isdir(path)  # noqa: PTH112 a Path raises if the name is too long


def is_same(path: Path, other: Path) -> bool:
    """Compare two files or folders, not their paths: either may be a symbolic link or contain ``..``."""
    try:
        return path.samefile(other)
    except OSError:
        return False


def _songs_in(folder: Path, output: Path) -> Iterator[Path]:
    unreadable: list[OSError] = []
    for root, folders, files in os.walk(folder, onerror=unreadable.append):
        here = Path(root)
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and not is_same(here / name, output)
        )
        for name in sorted(files):
            path = here / name
            if is_song_name(name) and os.path.isfile(path):  # noqa: PTH113
                yield path
    yield from (Path(error.filename) for error in unreadable)


def _without_stems(songs: list[Song], output: Path, files_of: FilesOf) -> list[Song]:
    """Leave out the songs of searched folders that are the stems of another song."""
    inside = os.path.join(os.path.realpath(output), "")  # noqa: PTH118 with a slash at its end
    if not any(_real(song.path).startswith(inside) for song in songs if not song.is_named):
        return songs
    written_for: dict[str, set[Song]] = {}
    for song, files in files_of(songs).items():
        for path in files:
            written_for.setdefault(_real(path), set()).add(song)
    return [song for song in songs if song.is_named or not written_for.get(_real(song.path), set()) - {song}]


def _real(path: Path) -> str:
    """Return the path without symbolic links of folders, and its name in the form that compares equal."""
    from stemsplitter.cli.targets import folded

    return os.path.join(os.path.realpath(path.parent), folded(path.name))  # noqa: PTH118
