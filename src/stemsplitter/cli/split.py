"""``stemsplitter split``: songs and folders in, a folder of stems for each song out."""

import logging
import os
import secrets
import shutil
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stemsplitter.audio.formats import known_names
from stemsplitter.cli.report import Report, open_report
from stemsplitter.errors import AudioError, RequestError, StemSplitterError
from stemsplitter.files.names import file_name, shown

if TYPE_CHECKING:
    from stemsplitter.library import Separator, StemFiles
    from stemsplitter.library.verification import Verification

AUDIO_SUFFIXES = frozenset(
    [
        *(".3gp", ".aac", ".ac3", ".aif", ".aifc", ".aiff", ".ape", ".au", ".avi", ".caf", ".flac", ".m4a"),
        *(".m4b", ".mka", ".mkv", ".mov", ".mp2", ".mp3", ".mp4", ".oga", ".ogg", ".opus", ".tta", ".w64"),
        *(".wav", ".weba", ".webm", ".wma", ".wv"),
    ]
)

_log = logging.getLogger("stemsplitter")


@dataclass(frozen=True)
class Wanted:
    """How a song's stems are to be written."""

    format: str
    rate: int | None
    zip: bool
    verify: bool


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
            "By default all six, or all that the model named gives.",
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="See `stemsplitter models list`.")] = None,
    format: Annotated[
        str,
        typer.Option(
            metavar="FORMAT",
            help=f"{known_names()}, stem.mp4.",
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
    songs = find_songs(sources, output)
    folders = output_folders(songs, output)
    report = open_report(as_json, len(songs))
    wanted = Wanted(format, rate, zip, verify)
    separator = _load(report, wanted, model, stems, device, precision, threads)
    failed = 0
    for song in songs:
        try:
            result, paths, checked = _split_one(report, separator, song, folders[song], wanted)
        except RequestError:
            raise  # it would be the same for every song
        except Exception as error:
            failed += 1
            report.failed(song, error if isinstance(error, StemSplitterError) else _fault(song, error))
            _log.debug("this led to it:", exc_info=error)
        else:
            report.separated(song, folders[song], result, paths, checked)
    report.finished(len(songs) - failed, failed)
    if failed:
        raise typer.Exit(1)


def find_songs(sources: Iterable[Path], output: Path) -> list[Path]:
    """The songs named, and those in the folders named, each once.

    What is hidden is no song, nor are the stems in ``output``. A folder without songs stands for itself, to
    fail when its turn comes.
    """
    songs: dict[Path, None] = {}
    for source in sources:
        found = list(_songs_in(source, output)) if _is_folder(source) else []
        songs.update(dict.fromkeys(found or [source]))
    return list(songs)


def _songs_in(folder: Path, output: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        here = Path(root)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and (here / name).absolute() != output.absolute()
        )
        for name in sorted(files):
            path = here / name
            hidden = name.startswith(".")  # also what macOS keeps beside a song as ._song.mp3
            if path.suffix.lower() in AUDIO_SUFFIXES and not hidden and os.path.isfile(path):  # noqa: PTH113
                yield path


def _is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 a Path raises where a name is too long or may not be looked up


def output_folders(songs: list[Path], output: Path) -> dict[Path, Path]:
    """A folder for each song, named after it; songs of one name keep their endings, or get a number.

    Names that some file system takes for one count as one.
    """
    folders: dict[Path, Path] = {}
    taken = {"", ".", ".."}
    for song in songs:
        names = (song.stem, song.name, *(f"{song.stem} {number}" for number in range(2, len(songs) + 2)))
        name = next(name for name in names if _folded(name) not in taken)
        taken.add(_folded(name))
        folders[song] = output / name
    return folders


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _load(
    report: Report,
    wanted: Wanted,
    model: str | None,
    stems: str | None,
    device: str,
    precision: str,
    threads: int | None,
) -> "Separator":
    from stemsplitter.catalogue.selection import Fetcher, candidates_for
    from stemsplitter.catalogue.store import ModelStore
    from stemsplitter.library import Separator
    from stemsplitter.library.outputs import output_rate
    from stemsplitter.separation.layouts import parse_stems, plan_stems

    # what is wrong is told before anything is fetched
    output_rate(wanted.format, 44_100 if wanted.rate is None else wanted.rate)
    store = ModelStore()
    if model is not None:
        candidates = [store.entry(model)]
        plan_stems(candidates[0].stems, parse_stems(stems) if stems else candidates[0].stems)
    else:
        candidates = candidates_for(parse_stems(stems or "6s"), store.entries())
    entry = candidates[0]
    # weights that anybody may use for anything are fetched without being asked for; others never are
    if entry.permissive:
        entry = Fetcher(store, report.fetching).bring(candidates)
    with report.waiting(f"Loading {entry.name}"):
        separator = Separator(
            entry.name, stems=stems, device=device, precision=precision, threads=threads, store=store
        )
    report.loaded(separator)
    return separator


def _split_one(
    report: Report, separator: "Separator", song: Path, folder: Path, wanted: Wanted
) -> "tuple[StemFiles, list[Path], Verification | None]":
    if wanted.zip:
        return _separate_into_zip(report, separator, song, folder, wanted)
    result, checked = _separate(report, separator, song, folder, wanted)
    return result, _paths(result), checked


def _separate(
    report: Report, separator: "Separator", song: Path, folder: Path, wanted: Wanted
) -> "tuple[StemFiles, Verification | None]":
    from stemsplitter.library.verification import verify_files

    with report.separating(song, separator) as progress:
        if _is_folder(song):
            raise AudioError(
                f"The folder {shown(song)} holds no songs: name one that does, or the songs themselves."
            )
        result = separator.separate_to(
            song, folder, format=wanted.format, sample_rate=wanted.rate, progress=progress
        )
    if not wanted.verify:
        return result, None
    with report.waiting("Checking the stems"):
        return result, verify_files(song, result)


def _separate_into_zip(
    report: Report, separator: "Separator", song: Path, folder: Path, wanted: Wanted
) -> "tuple[StemFiles, list[Path], Verification | None]":
    """Write the stems into a folder of their own, so that stems already in ``folder`` stay as they are."""
    from stemsplitter.files.archive import write_zip
    from stemsplitter.files.folder import OutputFolder

    archive = folder / file_name(song.stem, ".zip")
    held = OutputFolder(folder)
    hidden = folder / f".stemsplitter-{secrets.token_hex(8)}"
    finished = False
    try:
        result, checked = _separate(report, separator, song, hidden, wanted)
        with report.waiting("Writing the zip"):
            write_zip(archive, _paths(result))
        finished = True
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
        held.release(keep=finished)
    return result, [archive], checked


def _paths(result: "StemFiles") -> list[Path]:
    return list(dict.fromkeys(file.path for file in result.files))


def _fault(song: Path, error: Exception) -> StemSplitterError:
    return StemSplitterError(
        f"{shown(song)} cannot be separated, which should not have happened ({type(error).__name__}): "
        "run `stemsplitter --verbose split …` again and report what it prints."
    )
