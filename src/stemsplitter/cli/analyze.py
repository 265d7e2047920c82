"""``stemsplitter analyze``: key and tempo of songs."""

import logging
from contextlib import ExitStack
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stemsplitter.cli.links import local_song
from stemsplitter.cli.output import AsJson, duration, print_json, print_message, print_rows, printable
from stemsplitter.cli.progress import status
from stemsplitter.cli.songs import Song, find_songs, is_folder
from stemsplitter.errors import AudioError, RequestError, StemSplitterError
from stemsplitter.files.names import shown

if TYPE_CHECKING:
    from stemsplitter.analysis import Analysis

_log = logging.getLogger("stemsplitter")
_COLUMNS = ("song", "length", "bpm", "or", "key", "camelot", "or key", "tuning")


def analyze(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SONG|FOLDER|LINK…",
            help="Songs, folders to search for songs, or links of YouTube or SoundCloud.",
        ),
    ],
    drums: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The drums stem of the song, which improves the tempo."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find key, Camelot code, tuning and tempo of songs.

    --json prints the object of the API, with the beats; for several songs, a list of them with the field `file`.

    A failed song does not stop the others. The exit code is 1 if any song failed.
    """
    with ExitStack() as stack:
        local = [local_song(source, stack) for source in sources]
        is_one = len(local) == 1 and not is_folder(local[0])
        _analyze([song.path for song in find_songs(local, Path(), _no_files)], drums, as_json, is_one)


def _no_files(songs: list[Song]) -> dict[Song, tuple[Path, ...]]:
    return dict.fromkeys(songs, ())


def _analyze(songs: list[Path], drums: Path | None, as_json: bool, is_one: bool) -> None:
    from stemsplitter.tools.analyzing import analyze_song, to_data

    if drums is not None and len(songs) != 1:
        raise RequestError("A drums stem belongs to one song: name one song.")
    done: list[tuple[Path, Analysis]] = []
    for number, song in enumerate(songs, start=1):
        try:
            if is_folder(song):
                raise AudioError(
                    f"The folder {shown(song)} contains no songs: name another folder, or songs."
                )
            with status(f"{number}/{len(songs)} {printable(song.name)}"):
                done.append((song, analyze_song(song, drums)))
        except StemSplitterError as error:
            print_message(f"error: {error}")
            _log.debug("cause:", exc_info=error)
    if as_json:
        objects = [{"durationSeconds": ceil(each.seconds), **to_data(each)} for _, each in done]
        named = [{"file": str(song), **data} for (song, _), data in zip(done, objects, strict=True)]
        print_json(objects[0] if is_one and objects else named)
    elif done:
        print_rows(_COLUMNS, [_row(song, analysis) for song, analysis in done], as_json=False)
    if len(done) < len(songs):
        raise typer.Exit(1)


def _row(song: Path, analysis: "Analysis") -> tuple[str, ...]:
    key, tempo = analysis.key, analysis.tempo
    bpm = (
        (f"{tempo.bpm:.1f}", " ".join(f"{other:.1f}" for other in tempo.alternatives))
        if tempo
        else ("none", "")
    )
    keys = ("no clear key", "", "", "")
    if key is not None and key.is_clear:
        keys = (key.key.name, key.key.camelot, key.second.name, f"{analysis.tuning_cents:+.0f} cents")
    return (song.name, duration(analysis.seconds), *bpm, *keys)
