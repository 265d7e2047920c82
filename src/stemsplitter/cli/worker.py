"""``stemsplitter worker``: a process that separates songs and delivers webhooks."""

from typing import Annotated

import typer

from stemsplitter.cli.service import DataDir


def worker(
    device: Annotated[
        str | None, typer.Option(metavar="DEVICE", help="auto, cpu, cuda, cuda:1 or mps.")
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(metavar="N", help="Splits to work at, at once: 1 to 64.")
    ] = None,
    models: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES", help="Models whose splits to take, by default all: htdemucs,spleeter_2s."
        ),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Take splits and webhooks from the queue; start as many as there is memory for. See docs/settings.md."""
    from stemsplitter.processes import worker as process
    from stemsplitter.settings import load_settings

    process.run(
        load_settings(data_dir=data_dir, device=device, concurrency=concurrency, worker_models=models)
    )
