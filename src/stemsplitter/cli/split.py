"""``stemsplitter split``: separate songs into a folder of stems each."""

import logging
import secrets
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stemsplitter.audio.formats import known_names
from stemsplitter.cli.report import JsonReport, SeparatedSong, TextReport
from stemsplitter.cli.songs import find_songs, is_folder, output_folders
from stemsplitter.errors import AudioError, RequestError, StemSplitterError
from stemsplitter.files.names import file_name, shown

if TYPE_CHECKING:
    from stemsplitter.library import Separator

_log = logging.getLogger("stemsplitter")


@dataclass(frozen=True)
class OutputOptions:
    """Options for writing the stems of a song."""

    format: str
    rate: int | None
    zip: bool
    verify: bool
    instruments: str | None


def split(
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="SONG|FOLDER…", help="Songs, or folders to search for songs."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Write stems to DIR/<song name>/.")
    ] = Path("stems"),
    stems: Annotated[
        list[str] | None,
        typer.Option(
            metavar="6s|4s|2s|NAME,…",
            help="A layout, or stem names separated by commas or given by several options: "
            "vocals, drums, bass, guitar, piano, other, instrumental. Default: all six, or all of the named model.",
        ),
    ] = None,
    instruments: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME,…",
            help="The instruments of the songs, separated by commas or given by several options: vocals, drums, bass, "
            "guitar, piano, other. The other stems are silent. Default: all six.",
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="Model; see `stemsplitter models list`.")
    ] = None,
    format: Annotated[
        str,
        typer.Option(
            metavar="FORMAT",
            help=f"{known_names()}, stem.mp4.",
        ),
    ] = "wav",
    rate: Annotated[
        int | None, typer.Option(metavar="HZ", help="Sample rate of the stems. Default: that of the song.")
    ] = None,
    zip: Annotated[bool, typer.Option("--zip", help="Write the stems of a song as one ZIP file.")] = False,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify", help="Decode the stems, check their length and measure the residual of their sum."
        ),
    ] = False,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|mps", help="Compute device.")] = "auto",
    precision: Annotated[
        str, typer.Option(metavar="auto|fp32|bf16|fp16", help="Compute precision.")
    ] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads. Default: all cores.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """Separate songs into stems.

    A failed song does not stop the others. The exit code is 1 if any song failed.
    """
    songs = find_songs(sources, output)
    folders = output_folders(songs, output)
    report = (JsonReport if as_json else TextReport)(len(songs))
    options = OutputOptions(format, rate, zip, verify, ",".join(instruments) if instruments else None)
    separator = _load(report, options, model, ",".join(stems or ()), device, precision, threads)
    failed = 0
    for song in songs:
        try:
            separated = _split_one(report, separator, song, folders[song], options)
        except RequestError:
            raise  # every song would fail with it
        except Exception as error:
            failed += 1
            report.failed(
                song, error if isinstance(error, StemSplitterError) else _internal_error(song, error)
            )
            _log.debug("cause:", exc_info=error)
        else:
            report.separated(separated)
    report.finished(len(songs) - failed, failed)
    if failed:
        raise typer.Exit(1)


def _load(
    report: TextReport,
    options: OutputOptions,
    model: str | None,
    stems: str,
    device: str,
    precision: str,
    threads: int | None,
) -> "Separator":
    from stemsplitter.catalogue.selection import ModelDownloader, candidates_for
    from stemsplitter.catalogue.store import ModelStore
    from stemsplitter.library import Separator
    from stemsplitter.library.outputs import output_rate
    from stemsplitter.separation.layouts import parse_instruments, parse_stems, plan_stems

    # reject invalid options before a download
    if options.instruments is not None:
        parse_instruments(options.instruments)
    output_rate(options.format, 44_100 if options.rate is None else options.rate)
    store = ModelStore()
    if model is not None:
        candidates = [store.entry(model)]
        plan_stems(candidates[0].stems, parse_stems(stems) if stems else candidates[0].stems)
    else:
        candidates = candidates_for(parse_stems(stems or "6s"), store.entries())
    entry = candidates[0]
    # only permissively licensed weights are downloaded automatically
    if entry.permissive:
        entry = ModelDownloader(store, report.fetching).first_available(candidates)
    with report.status(f"Loading {entry.name}"):
        separator = Separator(
            entry.name, stems=stems or None, device=device, precision=precision, threads=threads, store=store
        )
    report.loaded(separator)
    return separator


def _split_one(
    report: TextReport, separator: "Separator", song: Path, folder: Path, options: OutputOptions
) -> SeparatedSong:
    if options.zip:
        return _separate_into_zip(report, separator, song, folder, options)
    return _separate(report, separator, song, folder, options)


def _separate(
    report: TextReport, separator: "Separator", song: Path, folder: Path, options: OutputOptions
) -> SeparatedSong:
    from stemsplitter.library.verification import verify_files

    with report.separating(song, separator) as progress:
        if is_folder(song):
            raise AudioError(f"The folder {shown(song)} contains no songs: name another folder, or songs.")
        stems = separator.separate_to(
            song,
            folder,
            format=options.format,
            sample_rate=options.rate,
            instruments=options.instruments,
            progress=progress,
        )
    paths = list(dict.fromkeys(file.path for file in stems.files))
    if not options.verify:
        return SeparatedSong(song, folder, stems, paths)
    with report.status("Verifying the stems"):
        return SeparatedSong(song, folder, stems, paths, verify_files(song, stems))


def _separate_into_zip(
    report: TextReport, separator: "Separator", song: Path, folder: Path, options: OutputOptions
) -> SeparatedSong:
    """Write the stems into a temporary folder first, so that stems already in ``folder`` stay unchanged."""
    from stemsplitter.files.archive import write_zip
    from stemsplitter.files.folder import OutputFolder

    archive = folder / file_name(song.stem, ".zip")
    held = OutputFolder(folder)
    temporary = folder / f".stemsplitter-{secrets.token_hex(8)}"
    finished = False
    try:
        separated = _separate(report, separator, song, temporary, options)
        with report.status("Writing the ZIP file"):
            write_zip(archive, separated.paths)
        finished = True
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        held.release(keep=finished)
    return replace(separated, folder=folder, paths=[archive])


def _internal_error(song: Path, error: Exception) -> StemSplitterError:
    return StemSplitterError(
        f"{shown(song)} cannot be separated because of an internal error ({type(error).__name__}): "
        "run `stemsplitter --verbose split …` again and report the output."
    )
