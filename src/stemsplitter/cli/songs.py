"""Songs to separate, and an output folder for each."""

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

from stemsplitter.errors import RequestError

AUDIO_SUFFIXES = frozenset(
    [
        *(".3gp", ".aac", ".ac3", ".aif", ".aifc", ".aiff", ".ape", ".au", ".avi", ".caf", ".flac", ".m4a"),
        *(".m4b", ".mka", ".mkv", ".mov", ".mp2", ".mp3", ".mp4", ".oga", ".ogg", ".opus", ".tta", ".w64"),
        *(".wav", ".weba", ".webm", ".wma", ".wv"),
    ]
)
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+(.*)", re.DOTALL)  # a Path has one slash for several


def find_songs(sources: Iterable[Path], output: Path) -> list[Path]:
    """Return the songs among ``sources`` and in the folders among them, without duplicates.

    Hidden files and the stems that an earlier run wrote to ``output`` are skipped, whatever path leads to it. A folder
    without songs is returned itself, so that its turn reports an error.

    Raises:
        RequestError: a source is a URL.
    """
    named: set[Path] = set()
    found: dict[Path, None] = {}
    for source in sources:
        if (match := _URL.fullmatch(str(source))) and not _exists(source):
            raise RequestError(
                f"{match[1]}://{match[2]} is a URL: download the file and name its path, or create a split from the "
                "URL on a server."
            )
        songs = list(_songs_in(source, output)) if is_folder(source) else []
        if not songs:
            named.add(source)
        found.update(dict.fromkeys(songs or [source]))
    written = _folders_written(found, output)
    return [song for song in found if song in named or not _is_stem(song, written)]


def output_folders(songs: Iterable[Path], output: Path) -> dict[Path, Path]:
    """Return a folder in ``output`` for each song, named after it.

    Of songs with equal names, later ones keep their extension or get a number. Names that some file system considers
    equal count as equal.
    """
    folders: dict[Path, Path] = {}
    taken = {"", ".", ".."}
    songs = list(songs)
    for song in songs:
        names = (song.stem, song.name, *(f"{song.stem} {number}" for number in range(2, len(songs) + 2)))
        name = next(name for name in names if _folded(name) not in taken)
        taken.add(_folded(name))
        folders[song] = output / name
    return folders


def is_folder(path: Path) -> bool:
    """Return True for a folder, False for a name that cannot be looked up."""
    return os.path.isdir(path)  # noqa: PTH112 a Path raises if the name is too long


def _songs_in(folder: Path, output: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        here = Path(root)
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and not _is_same(here / name, output)
        )
        for name in sorted(files):
            path = here / name
            hidden = name.startswith(".")  # also the ._song.mp3 that macOS keeps beside a song
            if path.suffix.lower() in AUDIO_SUFFIXES and not hidden and os.path.isfile(path):  # noqa: PTH113
                yield path


def _folders_written(songs: Iterable[Path], output: Path) -> set[Path]:
    """Return the folders of ``songs`` that lie in ``output`` and are named after a song that is not in them."""
    folders = {song.parent for song in songs if _is_same(song.parent.parent, output)}
    named_after = {_folded(folder.name): song for song, folder in output_folders(songs, output).items()}
    return {
        folder
        for folder in folders
        if (song := named_after.get(_folded(folder.name))) is not None and song.parent != folder
    }


def _is_stem(song: Path, written: set[Path]) -> bool:
    from stemsplitter.separation.layouts import STEM_NAMES  # imports NumPy

    return song.parent in written and (song.stem in STEM_NAMES or song.name.endswith(".stem.mp4"))


def _is_same(folder: Path, other: Path) -> bool:
    """Compare two folders by file, not by path: either may be a symbolic link or contain ``..``."""
    try:
        return folder.samefile(other)
    except OSError:
        return False


def _exists(path: Path) -> bool:
    return os.path.lexists(path)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
