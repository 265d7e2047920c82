"""``stemsplitter models``: list, download, add, verify and remove models."""

from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from stemsplitter.catalogue.checks import check_model, compare_precisions, is_checked, time_model
from stemsplitter.catalogue.entries import ModelEntry, load_tools
from stemsplitter.catalogue.optional import is_due, try_pull
from stemsplitter.catalogue.precision import PrecisionCheck, recorded_checks
from stemsplitter.catalogue.speeds import recorded_speed
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
    """List the models with stems, license, size, availability, precision and speed on this machine."""
    store = ModelStore()
    rows = [
        (entry, store.is_ready(entry.name), recorded_checks(entry, store), recorded_speed(entry, store))
        for entry in (*store.entries(), *load_tools())
    ]
    if as_json:
        print_json([_as_json(*row) for row in rows])
    else:
        _print_table(rows)


@app.command()
def pull(
    name: _Name,
    optional: Annotated[
        bool,
        typer.Option(
            "--optional", help="Try once, at most once a day, and exit without an error if it fails."
        ),
    ] = False,
) -> None:
    """Download the weights of a model. An interrupted download is resumed."""
    store = ModelStore()
    entry, parts = store.entry(name), store.parts(name)
    if optional and store.is_ready(name) and is_checked(name, store):
        return
    if optional and not store.is_ready(name):
        if not is_due(name, store):
            return
        try:
            with download_progress(name) as progress:
                try_pull(name, store, progress)
        except ModelError as error:
            print_message(f"Going on without the model {name}: {error}")
            return
    for each in [entry, *parts] if entry.chain else parts:
        print_message(f"{each.title}: license {each.licence}. {each.licence_note}")
    for part in parts:
        if not store.is_ready(part.name):
            with nullcontext() if part.built_in else download_progress(part.name) as progress:
                store.pull(part.name, progress)
    if not is_checked(name, store):
        check_model(name, store, print_message)
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
        check_model(name, store, print_message)
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
    speed: Annotated[
        bool, typer.Option("--speed", help="Also measure the speed on this machine again.")
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
    for model in dict.fromkeys(check.model for check in checks):
        if precision:
            compare_precisions(store.entry(model), store, print_message)
    if speed:
        for entry in _timed(name, store):
            time_model(entry, store, print_message)


@app.command()
def remove(name: _Name) -> None:
    """Delete the files of a model and its caches."""
    print(f"Removed {name}: {ModelStore().remove(name) / 1e6:.0f} MB freed.")


def _timed(name: str | None, store: ModelStore) -> list[ModelEntry]:
    """Return the installed models that separate: one of them, or all."""
    entries = [entry for entry in store.entries() if store.is_ready(entry.name)]
    return [entry for entry in entries if name in (None, entry.name)]


_Row = tuple[ModelEntry, bool, dict[str, PrecisionCheck], float | None]


def _as_json(
    entry: ModelEntry, ready: bool, checks: dict[str, PrecisionCheck], speed: float | None
) -> dict[str, Any]:
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
        "times_real_time": speed,
    }


def _print_table(rows: list[_Row]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "stems", "license", box=None, pad_edge=False)
    table.add_column("size", justify="right")
    table.add_column("ready")
    table.add_column("precision")
    table.add_column("speed", justify="right")
    for entry, ready, checks, speed in rows:
        size = "" if entry.chain else f"{entry.size_bytes / 1e6:.0f} MB"
        precision = " ".join(dict.fromkeys(check.precision for check in checks.values()))
        state = "no" if not ready else "built in" if entry.built_in else "yes"
        table.add_row(
            entry.name,
            " ".join(entry.stems),
            entry.licence,
            size,
            state,
            precision,
            f"{speed:.1f}×" if speed else "",
        )
    Console(highlight=False, markup=False).print(table)
