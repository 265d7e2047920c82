"""Templates of file names, such as ``{track}/{stem}.{ext}``."""

import os
from collections.abc import Collection
from pathlib import Path
from string import Formatter

from stemsplitter.errors import RequestError
from stemsplitter.files.names import LONGEST_FILE_NAME


def template_fields(template: str, known: Collection[str]) -> set[str]:
    """Return the fields of a template.

    Raises:
        RequestError: a field is not one of ``known``, or a brace is unmatched.
    """
    choice = f"use {', '.join(f'{{{name}}}' for name in known)}, and {{{{ and }}}} for braces"
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise RequestError(f"The file name {template!r} has an unmatched brace: {choice}.") from error
    for _, name, spec, conversion in parts:
        if name is not None and (name not in known or spec or conversion):
            raise RequestError(f"The file name {template!r} has an unknown field {{{name}}}: {choice}.")
    return {name for _, name, _, _ in parts if name is not None}


def escaped(text: str) -> str:
    """Return a template whose only value is ``text``."""
    return text.replace("{", "{{").replace("}", "}}")


def fill_fields(template: str, **values: str) -> str:
    """Return the template with some of its fields filled in and the others left open."""
    filled = []
    for literal, name, _, _ in Formatter().parse(template):
        filled.append(escaped(literal))
        if name is not None:
            filled.append(escaped(values[name]) if name in values else f"{{{name}}}")
    return "".join(filled)


def fill_template(template: str, **values: str) -> Path:
    """Return the relative path that a template gives.

    Raises:
        RequestError: the path leads out of its folder.
    """
    path = Path(template.format(**values))
    if path.is_absolute() or ".." in path.parts or not path.name:
        raise RequestError(
            f"The file name {template!r} leads out of the output folder: leave out .. and the first /."
        )
    return path


def fitting_track(template: str, track: str, **values: str) -> str:
    """Return ``track``, cut until no name in the path exceeds the maximum of file systems."""
    while len(track) > 1 and any(
        len(os.fsencode(part)) > LONGEST_FILE_NAME
        for part in Path(template.format(track=track, **values)).parts
    ):
        track = track[:-1]
    return track
