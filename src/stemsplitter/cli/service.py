"""What the operator's commands share: opening the server's database, and printing rows.

SQLAlchemy and what stands on it are imported when a command runs: `--help` and `split` never pay for them.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stemsplitter.cli.report import printable

if TYPE_CHECKING:
    from stemsplitter.services import Services

WIDEST = 1000  # characters of a line

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="DIR", help="The server's folder (STEMSPLITTER_DATA_DIR)."),
]
AccountName = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's email address or id.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@contextmanager
def server(data_dir: Path | None) -> Iterator["Services"]:
    """The server's parts, on a database whose tables are those of this version."""
    from stemsplitter.migrations.upgrade import upgrade
    from stemsplitter.services import Services
    from stemsplitter.settings import load_settings

    services = Services(load_settings(data_dir=data_dir))
    try:
        upgrade(services.database)
        yield services
    finally:
        services.close()


def print_rows(columns: Sequence[str], rows: Sequence[Sequence[Any]], as_json: bool) -> None:
    """A table, or a JSON list of objects whose keys are the columns' names. Times are in UTC."""
    if as_json:
        objects = [dict(zip(columns, row, strict=True)) for row in rows]
        print(json.dumps(objects, indent=2, ensure_ascii=False, default=_time))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for number, column in enumerate(columns):
        numeric = any(isinstance(row[number], int) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", no_wrap=True)
    for row in rows:
        table.add_row(*map(_cell, row))
    # as wide as it must be: an id that is broken in two cannot be copied
    Console(highlight=False, markup=False, width=WIDEST).print(table)


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"  # UTC
    return "" if value is None else printable(str(value))


def _time(value: datetime) -> str:
    return f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03}Z"
