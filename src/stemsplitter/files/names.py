"""How a path is written in a message, and file names that are not too long."""

import os
from pathlib import Path

_LONGEST = 80
_LONGEST_FILE_NAME = 255  # bytes, on every common file system


def shown(path: str | os.PathLike[str]) -> str:
    """The last part of a path, fit to print: one line, valid UTF-8, at most 80 characters.

    Control characters (a newline in a name) and bytes that are not UTF-8 become ``�``.
    """
    name = Path(path).name or str(path)
    name = os.fsencode(name).decode("utf-8", "replace")
    name = "".join(character if character.isprintable() else "�" for character in name)
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"


def file_name(stem: str, ending: str) -> str:
    """``stem`` and ``ending`` joined; a stem too long for that loses its last characters."""
    while len(os.fsencode(stem + ending)) > _LONGEST_FILE_NAME:
        stem = stem[:-1]
    return stem + ending
