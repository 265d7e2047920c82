"""Templates of file names, such as ``{track}/{stem}.{ext}``."""

import os
from collections.abc import Collection
from pathlib import Path, PurePath
from string import Formatter

from stemsplitter.errors import RequestError
from stemsplitter.files.names import file_name


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
    fields = {name for _, name, _, _ in parts if name is not None}
    for _, name, spec, conversion in parts:
        if name is not None and (name not in known or spec or conversion):
            raise RequestError(f"The file name {template!r} has an unknown field {{{name}}}: {choice}.")
    return fields


def escaped(text: str) -> str:
    """Return a template whose only value is ``text``."""
    return text.replace("{", "{{").replace("}", "}}")


def fill_template(template: str, **values: str) -> Path:
    """Return the relative path that a template gives; a name over the limit of file systems is cut before its ending.

    Raises:
        RequestError: the path leads out of its folder.
    """
    path = PurePath(template.format(**values))
    if path.is_absolute() or ".." in path.parts or not path.name:
        raise RequestError(
            f"The file name {template!r} leads out of the output folder: leave out .. and the first /."
        )
    return Path(*(file_name(part, "") for part in path.parts[:-1]), _cut(path.name))


def _cut(name: str) -> str:
    stem, ending = os.path.splitext(name)  # noqa: PTH122 a Path has no name of two dots
    return file_name(stem, ending)
