"""``stemsplitter split``: separate songs into a folder of stems each."""

from contextlib import ExitStack, closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stemsplitter.audio.excerpt import Excerpt
from stemsplitter.audio.formats import STEM_FILE, OutputFormat, known_names
from stemsplitter.cli import completion
from stemsplitter.cli.batch import OutputOptions, parse_jobs, separate_songs, standard_input, standard_output
from stemsplitter.cli.libraries import check_options, on_cluster, on_server, separate_libraries
from stemsplitter.cli.links import local_song
from stemsplitter.cli.report import JsonReport, TextReport
from stemsplitter.cli.songs import STANDARD_INPUT, Song, find_songs
from stemsplitter.cli.targets import ONE_FILE_EXTENSIONS, Naming, check_earlier
from stemsplitter.cli.times import parse_time
from stemsplitter.errors import RequestError

if TYPE_CHECKING:
    from stemsplitter.catalogue.entries import ModelEntry
    from stemsplitter.catalogue.store import ModelStore
    from stemsplitter.library import Manifest, Separator

STANDARD_OUTPUT = Path("-")


def split(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SONG|FOLDER|LINK…",
            help="Songs, folders to search for songs, links of YouTube or SoundCloud, or - for standard input.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Output folder, or - to write one file to standard output."
        ),
    ] = Path("stems"),
    filename: Annotated[
        str | None,
        typer.Option(
            metavar="TEMPLATE",
            help="Path of a file in the output folder, with the fields {folder}, {track}, {trackext}, {stem} and "
            "{ext}. Default: {folder}/{track}/{stem}.{ext}.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the stems of earlier runs.")
    ] = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Skip songs whose stems are complete.")
    ] = False,
    stems: Annotated[
        list[str] | None,
        typer.Option(
            metavar="6s|4s|2s|NAME,…",
            autocompletion=completion.stems,
            help="A layout, or stem names separated by commas or given by several options: "
            "vocals, drums, bass, guitar, piano, other, instrumental, no_drums and so on. Default: all six, or all of "
            "the named model.",
        ),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            autocompletion=completion.instruments,
            help="The song without this stem: --without drums is --stems no_drums. May be repeated.",
        ),
    ] = None,
    instruments: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME,…",
            autocompletion=completion.instruments,
            help="The instruments of the songs, separated by commas or given by several options: vocals, drums, bass, "
            "guitar, piano, other. The other stems are silent. Default: all six.",
        ),
    ] = None,
    quality: Annotated[
        str | None,
        typer.Option(
            metavar="fast|balanced|best",
            autocompletion=completion.qualities,
            help="fast: the built-in model; balanced: the best installed one; best: the same with an overlap of 0.5. "
            "Default: balanced where it is fast enough, else fast.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            autocompletion=completion.models,
            help="Model; see `stemsplitter models list`.",
        ),
    ] = None,
    format: Annotated[
        str,
        typer.Option(
            metavar="FORMAT",
            autocompletion=completion.formats,
            help=f"{known_names()}, stem.mp4.",
        ),
    ] = "wav",
    rate: Annotated[
        int | None, typer.Option(metavar="HZ", help="Sample rate of the stems. Default: that of the song.")
    ] = None,
    start: Annotated[
        Fraction | None,
        typer.Option(metavar="TIME", parser=parse_time, help="Start there, in seconds or mm:ss."),
    ] = None,
    duration: Annotated[
        Fraction | None,
        typer.Option(metavar="TIME", parser=parse_time, help="Separate this much, in seconds or mm:ss."),
    ] = None,
    zip: Annotated[bool, typer.Option("--zip", help="Write the stems of a song as one ZIP file.")] = False,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify", help="Decode the stems, check their length and measure the residual of their sum."
        ),
    ] = False,
    overlap: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Overlap of segments, 0 to 0.95; more is slower. Default: 0.25."),
    ] = None,
    shifts: Annotated[
        int,
        typer.Option(metavar="N", help="Average N predictions of the shifted song, N times slower."),
    ] = 1,
    device: Annotated[
        str,
        typer.Option(metavar="auto|cpu|cuda|mps", autocompletion=completion.devices, help="Compute device."),
    ] = "auto",
    precision: Annotated[
        str,
        typer.Option(
            metavar="auto|fp32|bf16|fp16",
            autocompletion=completion.precisions,
            help="Compute precision.",
        ),
    ] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads. Default: all cores.")] = None,
    jobs: Annotated[
        str | None,
        typer.Option(
            metavar="N|auto",
            help="Songs to separate side by side; they share the model. auto: by cores and memory. Default: 1. With "
            "--server, songs that are sent, wait, run or are stored at a time. Default: 8.",
        ),
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Append a JSON line for each song: content, settings, stems with loudness, key and tempo, or the "
            "error. With --skip-existing, songs whose content and settings are in it are skipped.",
        ),
    ] = None,
    parquet: Annotated[
        bool,
        typer.Option(
            "--parquet", help="At the end, also write the manifest as FILE with the suffix .parquet."
        ),
    ] = False,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Separate on the workers of this dask scheduler (tcp://HOST:8786, or a scheduler file). Sources are "
            "then folders that all workers see, or s3://BUCKET/PREFIX, and so is the output.",
        ),
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Separate on this server with the API key in STEMSPLITTER_KEY, at a low priority. Sources are then "
            "folders or s3://BUCKET/PREFIX, and so is the output.",
        ),
    ] = None,
    allow_failed: Annotated[
        float,
        typer.Option(
            metavar="PERCENT",
            min=0,
            max=100,
            help="Share of songs that may fail with exit code 0. Default: 0.",
        ),
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """Separate songs into stems.

    A failed song does not stop the others. The exit code is 1 if more songs failed than --allow-failed allows.
    """
    from stemsplitter.catalogue.qualities import check_quality_choice
    from stemsplitter.catalogue.store import ModelStore
    from stemsplitter.library import Separator
    from stemsplitter.library.outputs import output_rate
    from stemsplitter.library.separator import check_quality
    from stemsplitter.separation.layouts import complement, parse_instruments

    options = OutputOptions(
        format,
        rate,
        zip,
        verify,
        ",".join(instruments) if instruments else None,
        overwrite,
        skip_existing,
        Excerpt(start or 0, duration),
        measure=manifest is not None,
    )
    # reject invalid options before a download
    if options.instruments is not None:
        parse_instruments(options.instruments)
    output_rate(format, 44_100 if rate is None else rate)
    check_quality(overlap, shifts)
    check_quality_choice(quality, model)
    if jobs is not None:
        parse_jobs(jobs, 1)
    if parquet and (manifest is None or manifest.suffix == ".parquet"):
        raise RequestError("--parquet also writes the manifest as Parquet: add --manifest FILE.jsonl.")
    named = [*(stems or ()), *(complement(name) for name in without or ())]
    if cluster is not None or server is not None:
        from stemsplitter.library import LibrarySettings

        if cluster is not None and server is not None:
            raise RequestError(
                "Songs are separated on a cluster or on a server: leave out --cluster or --server."
            )
        library = LibrarySettings(
            model, quality, ",".join(named) or None, format, rate, options.instruments, overlap, shifts, device,
            precision, threads, verify,
        )  # fmt: skip
        engine = on_cluster if cluster is not None else on_server
        check_options(sources, options, filename, output, manifest)
        with ExitStack() as stack:
            separate = stack.enter_context(engine(cluster or server or "", library, jobs, skip_existing))
            lines = _manifest(stack, manifest, library.of_result(), parquet)
            tally = separate_libraries(separate, sources, output, lines, as_json)
        if tally.has_failed(allow_failed):
            raise typer.Exit(1)
        return
    store = ModelStore()
    candidates, requested = _candidates(store, model, ",".join(named), quality, device)
    with ExitStack() as stack:
        if is_piped := output == STANDARD_OUTPUT:
            _check_standard_output(options, requested, as_json)
            output = stack.enter_context(standard_output())
        naming = Naming(output, filename, requested, _extension(options))
        songs = _songs(sources, output, naming, stack)
        if is_piped and len(songs) != 1:
            raise RequestError("Standard output takes the stems of one song: name one, or an output folder.")
        targets = naming.targets(songs)
        if not overwrite:
            check_earlier(target for target in targets.values() if not (skip_existing and target.is_done()))
        report = JsonReport(len(songs)) if as_json else TextReport(len(songs), to_stderr=is_piped)
        entry = _downloaded(report, store, candidates)
        with report.status(f"Loading {entry.name}"):
            separator = Separator(
                entry.name if quality is None else None,
                quality=quality,
                stems=requested,
                device=device,
                precision=precision,
                threads=threads,
                overlap=overlap,
                shifts=shifts,
                store=store,
            )
        report.loaded(separator)
        lines = _manifest(stack, manifest, _settings(options, separator, overlap, shifts), parquet)
        side_by_side = parse_jobs(jobs or "1", len(targets))
        tally = separate_songs(targets.values(), separator, report, options, side_by_side, lines)
    if tally.has_failed(allow_failed):
        raise typer.Exit(1)


def _manifest(
    stack: ExitStack, path: Path | None, settings: dict[str, Any], parquet: bool
) -> "Manifest | None":
    """Open the manifest until ``stack`` is closed; None without a path."""
    if path is None:
        return None
    from stemsplitter.library import Manifest

    return stack.enter_context(closing(Manifest(path, settings, parquet=parquet)))


def _settings(
    options: OutputOptions, separator: "Separator", overlap: float | None, shifts: int
) -> dict[str, Any]:
    """Return what the stems of a song depend on, for the manifest."""
    return {
        "model": separator.entry.name,
        "stems": separator.stems,
        "format": options.format,
        "rate": options.rate,
        "instruments": options.instruments,
        "start": float(options.excerpt.start),
        "duration": None if options.excerpt.duration is None else float(options.excerpt.duration),
        "overlap": overlap,
        "shifts": shifts,
        "zip": options.zip,
    }


def _candidates(
    store: "ModelStore", model: str | None, stems: str, quality: str | None, device: str
) -> tuple[list["ModelEntry"], tuple[str, ...]]:
    """Return the models to choose from and the requested stems.

    Raises:
        RequestError: no model, or not the named one, provides the stems.
    """
    from stemsplitter.catalogue.qualities import better_model_for
    from stemsplitter.catalogue.selection import candidates_for
    from stemsplitter.separation.layouts import parse_stems, plan_stems

    if model is None:
        requested = parse_stems(stems or "6s")
        if better := better_model_for(requested, store, quality, device):
            return [better], requested
        return candidates_for(requested, store.entries()), requested
    entry = store.entry(model)
    requested = parse_stems(stems) if stems else entry.stems
    plan_stems(entry.stems, requested)
    return [entry], requested


def _downloaded(report: TextReport, store: "ModelStore", candidates: list["ModelEntry"]) -> "ModelEntry":
    """Return the first available model; only permissively licensed weights are downloaded automatically."""
    from stemsplitter.catalogue.selection import ModelDownloader

    if not candidates[0].permissive:
        return candidates[0]
    return ModelDownloader(store, report.fetching).first_available(candidates)


def _extension(options: OutputOptions) -> str:
    if options.zip:
        return "zip"
    return STEM_FILE if options.format == STEM_FILE else OutputFormat.parse(options.format).extension


def _check_standard_output(options: OutputOptions, stems: tuple[str, ...], as_json: bool) -> None:
    if as_json:
        raise RequestError("Both --json and -o - write to standard output: name an output folder.")
    if len(stems) > 1 and _extension(options) not in ONE_FILE_EXTENSIONS:
        raise RequestError(
            "Standard output takes one file: choose one stem, such as --stems vocals, or add --zip."
        )


def _songs(sources: list[Path], output: Path, naming: Naming, stack: ExitStack) -> list[Song]:
    local = [
        stack.enter_context(standard_input()) if source == STANDARD_INPUT else local_song(source, stack)
        for source in dict.fromkeys(sources)
    ]
    temporary = set(local) - set(sources)
    return [
        replace(song, label=Path(song.path.name)) if song.path in temporary else song
        for song in find_songs(local, output, naming.possible_files)
    ]
