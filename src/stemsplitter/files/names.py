"""File names: formatted for messages, and reduced to portable names."""

import os
import re
from pathlib import Path

TEMPORARY = (
    ".stemsplitter-"  # prefix of the names of temporary files and folders, before 16 hexadecimal digits
)
AUDIO_SUFFIXES = frozenset(
    [
        *(".3gp", ".aac", ".ac3", ".aif", ".aifc", ".aiff", ".ape", ".au", ".avi", ".caf", ".flac", ".m4a"),
        *(".m4b", ".mka", ".mkv", ".mov", ".mp2", ".mp3", ".mp4", ".oga", ".ogg", ".opus", ".tta", ".w64"),
        *(".wav", ".weba", ".webm", ".wma", ".wv"),
    ]
)
"""Extensions of the files that are taken for songs in folders."""
_LONGEST_SHOWN = 80
_LONGEST_PLAIN = 200
LONGEST_FILE_NAME = 255  # bytes, on every common file system
_ENDING = re.compile(r"\.[a-z0-9]{1,5}$")


def is_song_name(name: str) -> bool:
    """Return True for the name of a file that is taken for a song in a folder. Hidden files are not: ``._song.mp3`` is
    what macOS keeps beside a song."""
    # a Path would keep the parts of a million names in the interpreter's table of strings
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in AUDIO_SUFFIXES  # noqa: PTH122


def shown(path: str | os.PathLike[str]) -> str:
    """Format the last part of a path for a message: one line, valid UTF-8, at most 80 characters.

    Control characters (a newline in a name) and bytes that are not UTF-8 become ``�``.
    """
    name = Path(path).name or str(path)
    name = os.fsencode(name).decode("utf-8", "replace")
    name = "".join(character if character.isprintable() else "�" for character in name)
    return name if len(name) <= _LONGEST_SHOWN else name[: _LONGEST_SHOWN - 1] + "…"


def file_name(stem: str, ending: str) -> str:
    """Join ``stem`` and ``ending``; cut the stem if the name would exceed the maximum of file systems."""
    while len(os.fsencode(stem + ending)) > LONGEST_FILE_NAME:
        stem = stem[:-1]
    return stem + ending


def plain_name(name: str, default: str = "file") -> str:
    """Reduce any text to a portable file name; ``default`` if the result is empty.

    The result has no folders and no control characters, and at most 200 characters; a longer name keeps its extension.
    """
    last = name.replace("\\", "/").rpartition("/")[2]
    kept = "".join(character for character in last if character.isprintable()).strip()
    if len(kept) > _LONGEST_PLAIN:
        stem, dot, ending = kept.rpartition(".")
        ending = dot + ending if dot and len(ending) <= 10 else ""
        kept = (stem if ending else kept)[: _LONGEST_PLAIN - len(ending)].rstrip() + ending
    return default if kept.strip(". ") == "" else kept


def plain_ending(name: str) -> str:
    """The extension in lower case, with its dot, if it is 1 to 5 letters and digits; else empty."""
    found = _ENDING.search(name.lower())
    return found[0] if found else ""
