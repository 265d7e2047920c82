"""``stemsplitter isolate-voice``: speech from noisy recordings."""

from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stemsplitter.audio.formats import OutputFormat, known_names
from stemsplitter.cli import completion
from stemsplitter.cli.links import local_song
from stemsplitter.cli.output import AsJson, duration, print_json, print_message, printable
from stemsplitter.cli.progress import download_progress, separation_progress, status
from stemsplitter.cli.targets import refuse_existing
from stemsplitter.files.names import file_name

if TYPE_CHECKING:
    from stemsplitter.catalogue.entries import ModelEntry
    from stemsplitter.files.verified import Progress as DownloadProgress


def isolate_voice(
    file: Annotated[
        Path, typer.Argument(metavar="FILE|LINK", help="The recording, or a link of YouTube or SoundCloud.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Output folder. Default: this one.")
    ] = Path(),
    format: Annotated[
        str, typer.Option(metavar="FORMAT", autocompletion=completion.formats, help=f"{known_names()}.")
    ] = "wav",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads. Default: all cores.")] = None,
    as_json: AsJson = False,
) -> None:
    """Separate the speech of a recording from noise; the two files add up to the recording."""
    with ExitStack() as stack:
        _isolate(local_song(file, stack), output, format, overwrite, threads, as_json)


def _isolate(
    file: Path, output: Path, format: str, overwrite: bool, threads: int | None, as_json: bool
) -> None:
    from stemsplitter.catalogue.selection import ModelDownloader
    from stemsplitter.catalogue.store import ModelStore
    from stemsplitter.tools import isolating

    extension = OutputFormat.parse(format).extension
    voice, noise = (
        output / file_name(f"{file.stem} ({part})", f".{extension}") for part in ("voice", "noise")
    )
    refuse_existing(voice, noise, overwrite=overwrite, choice="folder")
    store = ModelStore()
    entry = store.entry(isolating.MODEL)
    ModelDownloader(store, _announce).first_available([entry])
    with status(f"Loading {entry.name}"):
        networks = isolating.load_networks(store, threads)
    with separation_progress(printable(file.name), f"{entry.name} ({entry.licence})") as progress:
        done = isolating.isolate_voice(file, voice, noise, networks, format=format, progress=progress)
    seconds = done.samples / done.sample_rate
    if as_json:
        print_json(
            {
                "file": str(file),
                "voice": str(done.voice),
                "noise": str(done.noise),
                "model": entry.name,
                "licence": entry.licence,
                "samples": done.samples,
                "sample_rate": done.sample_rate,
                "gain": done.gain,
                "elapsed": round(done.elapsed, 3),
                "warnings": list(done.warnings),
            }
        )
        return
    print(f"{printable(file.name)}: {duration(seconds)} of audio in {duration(done.elapsed)}, {entry.name}")
    for path in (done.voice, done.noise):
        print(f"  {printable(str(path))}")
    for warning in done.warnings:
        print(f"  warning: {warning}")


def _announce(entry: "ModelEntry") -> AbstractContextManager["DownloadProgress"]:
    print_message(f"Downloading {entry.title} ({entry.size_bytes / 1e6:.0f} MB, license {entry.licence}) …")
    return download_progress(entry.name)
