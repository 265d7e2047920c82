"""``stemsplitter split``: songs and folders in, a folder of stems for each song out."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stemsplitter.cli.report import Report, open_report
from stemsplitter.errors import AudioError, RequestError, StemSplitterError

if TYPE_CHECKING:
    from stemsplitter.separation import Separator

AUDIO_SUFFIXES = frozenset(
    [
        *(".aac", ".aif", ".aiff", ".ape", ".caf", ".flac", ".m4a", ".m4b", ".mka", ".mkv", ".mov", ".mp3"),
        *(".mp4", ".oga", ".ogg", ".opus", ".wav", ".webm", ".wma", ".wv"),
    ]
)


def split(
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="SONG|FOLDER…", help="Songs, or folders that are searched for songs."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Stems go to DIR/<song's name>/.")
    ] = Path("stems"),
    stems: Annotated[
        str | None,
        typer.Option(
            metavar="6s|4s|2s|NAME,…",
            help="A layout or names: vocals, drums, bass, guitar, piano, other, instrumental. "
            "By default all that the model gives.",
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="See `stemsplitter models list`.")] = None,
    format: Annotated[
        str,
        typer.Option(
            metavar="FORMAT",
            help="wav (wav16, wav24, wav32f), flac (flac16, flac24), mp3 (mp3:192), ogg, m4a (m4a:192), stem.mp4.",
        ),
    ] = "wav",
    rate: Annotated[
        int | None, typer.Option(metavar="HZ", help="Sample rate of the stems; by default the song's own.")
    ] = None,
    zip: Annotated[bool, typer.Option("--zip", help="Put a song's stems into one zip instead.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Decode what was written, check its length, tell how it sums up.")
    ] = False,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|mps", help="What to compute on.")] = "auto",
    precision: Annotated[str, typer.Option(metavar="auto|fp32|bf16|fp16", help="How to compute.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; by default all cores.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a line, for programs; docs/cli.md.")
    ] = False,
) -> None:
    """Separate songs into stems.

    A song that fails does not stop the others; the exit code is 1 if any failed.
    """
    songs = find_songs(sources)
    report = open_report(as_json, len(songs))
    separator = _load(report, model, stems, device, precision, threads)
    folders = _output_folders(songs, output)
    failed = 0
    for song in songs:
        try:
            _split_one(report, separator, song, folders[song], format, rate, zip, verify)
        except StemSplitterError as error:
            if isinstance(error, RequestError):
                raise  # would be the same for every song
            failed += 1
            report.failed(song, error)
    report.finished(len(songs) - failed, failed)
    if failed:
        raise typer.Exit(1)


def find_songs(sources: Iterable[Path]) -> list[Path]:
    """The songs named, and those in the folders named, each once.

    Raises:
        AudioError: a folder has no song in it.
    """
    songs: dict[Path, None] = {}
    for source in sources:
        if not source.is_dir():
            songs[source] = None
            continue
        found = sorted(
            path for path in source.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file()
        )
        if not found:
            raise AudioError(
                f"The folder {source} holds no songs: name one that does, or the songs themselves."
            )
        songs.update(dict.fromkeys(found))
    return list(songs)


def _output_folders(songs: list[Path], output: Path) -> dict[Path, Path]:
    """A folder for each song, named after it; songs of one name keep their endings, or get a number."""
    folders: dict[Path, Path] = {}
    taken: set[str] = set()
    for song in songs:
        names = (song.stem, song.name, *(f"{song.stem} {number}" for number in range(2, len(songs) + 2)))
        name = next(name for name in names if name not in taken)
        taken.add(name)
        folders[song] = output / name
    return folders


def _load(
    report: Report, model: str | None, stems: str | None, device: str, precision: str, threads: int | None
) -> "Separator":
    from stemsplitter.catalogue.entries import default_model_for
    from stemsplitter.catalogue.store import ModelStore
    from stemsplitter.separation import Separator
    from stemsplitter.separation.layouts import parse_stems

    store = ModelStore()
    entry = store.entry(model) if model else default_model_for(parse_stems(stems or "2s"))
    # weights that anybody may use for anything are fetched without being asked for; others never are
    if entry.permissive and not store.is_ready(entry.name):
        with report.fetching(entry) as progress:
            store.pull(entry.name, progress)
    with report.loading(entry.name):
        return Separator(
            entry.name, stems=stems, device=device, precision=precision, threads=threads, store=store
        )


def _split_one(
    report: Report,
    separator: "Separator",
    song: Path,
    folder: Path,
    format: str,
    rate: int | None,
    zip: bool,
    verify: bool,
) -> None:
    from stemsplitter.audio.archive import write_zip
    from stemsplitter.separation.verification import verify_files

    with report.separating(song, separator) as progress:
        result = separator.separate_to(song, folder, format=format, sample_rate=rate, progress=progress)
    checked = verify_files(song, result) if verify else None
    paths = list(dict.fromkeys(file.path for file in result.files))
    if zip:
        archive = folder / f"{song.stem}.zip"
        write_zip(archive, paths)
        for path in paths:
            path.unlink()
        paths = [archive]
    report.separated(song, folder, result, paths, checked)
    sys.stdout.flush()
