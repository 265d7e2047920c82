"""Output of the commands: results on standard output, messages on standard error, JSON with ``--json``."""

import json
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import typer

MAX_TABLE_WIDTH = 1000  # characters; a line is never wrapped, so that IDs can be copied

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def print_message(text: str) -> None:
    """Print a line on standard error, in one write, so that lines of several threads do not mix."""
    print(f"{text}\n", end="", file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """Print a JSON document. Times are in UTC with milliseconds."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=_time))


def print_event(event: str, **values: Any) -> None:
    """Print a JSON object with the field ``event`` on one line, in one write.

    The line is ASCII. A byte of a path that is not UTF-8 is one of U+DC80 to U+DCFF, as in ``os.fsencode``.
    """
    print(f"{json.dumps({'event': event, **values})}\n", end="", flush=True)


def print_rows(columns: Sequence[str], rows: Sequence[Sequence[Any]], as_json: bool) -> None:
    """Print a table, or a JSON list of objects; a space in a column name is an underscore in its key."""
    if as_json:
        keys = [column.replace(" ", "_") for column in columns]
        print_json([dict(zip(keys, row, strict=True)) for row in rows])
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for number, column in enumerate(columns):
        numeric = any(isinstance(row[number], int) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", no_wrap=True)
    for row in rows:
        table.add_row(*map(_cell, row))
    Console(highlight=False, markup=False, width=MAX_TABLE_WIDTH).print(table)


def printable(text: str) -> str:
    """Return ``text`` as one line of valid UTF-8."""
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(character if character.isprintable() else "�" for character in text)


def duration(seconds: float) -> str:
    """Format seconds as ``12.3 s``, ``3 min 20 s`` or ``1 h 2 min``."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes = round(seconds) // 60
    return (
        f"{minutes} min {round(seconds) % 60} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
    )


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"  # UTC
    return "" if value is None else printable(str(value))


def _time(value: datetime) -> str:
    return f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03}Z"
