"""Times in the arguments of a command."""

import re
from fractions import Fraction

import typer

_TIME = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?|\.\d+)")


def parse_time(text: str) -> Fraction:
    """Read seconds (``83.5``), ``mm:ss`` or ``hh:mm:ss``, exactly.

    Raises:
        typer.BadParameter: the text is something else.
    """
    match = _TIME.fullmatch(text.strip())
    if match is not None:
        hours, minutes = int(match[1] or 0), int(match[2] or 0)
        seconds = Fraction(match[3])
        if (match[2] is None or seconds < 60) and (match[1] is None or minutes < 60):
            return 3600 * hours + 60 * minutes + seconds
    raise typer.BadParameter(f"{text!r} is not a time: give seconds, such as 83.5, or mm:ss, such as 1:23.5.")
