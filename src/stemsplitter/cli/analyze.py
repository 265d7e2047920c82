"""``stemsplitter analyze``: key and tempo of songs."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stemsplitter.cli.links import local_song
from stemsplitter.cli.output import AsJson, duration, print_json, print_message, print_rows, printable
from stemsplitter.cli.progress import status
from stemsplitter.cli.songs import Song, find_songs, is_folder, is_same
from stemsplitter.cli.targets import refuse_existing
from stemsplitter.errors import AudioError, RequestError, StemSplitterError
from stemsplitter.files.atomic import output_error
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
    tag: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Write copies of the songs to this folder, with key and tempo in their tags: MP3, FLAC, WAV or AIFF.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing copies.")] = False,
    as_json: AsJson = False,
) -> None:
    """Find key, Camelot code, tuning and tempo of songs.

    --json prints the object of the API, with the beats; for several songs, a list of them with the field `file`.

    A failed song does not stop the others. The exit code is 1 if any song failed.
    """
    with ExitStack() as stack:
        local = [local_song(source, stack) for source in sources]
        is_one = len(local) == 1 and not is_folder(local[0])
        songs = find_songs(local, tag or Path(), _no_files)
        if drums is not None and len(songs) != 1:
            raise RequestError("A drums stem belongs to one song: name one song.")
        done = list(_analyze(songs, drums, tag, overwrite))
        _print(done, as_json, is_one)
        if len(done) < len(songs):
            raise typer.Exit(1)


def _no_files(songs: list[Song]) -> dict[Song, tuple[Path, ...]]:
    return dict.fromkeys(songs, ())


def _analyze(
    songs: list[Song], drums: Path | None, tag: Path | None, overwrite: bool
) -> Iterator[tuple[Path, "Analysis"]]:
    """Analyze songs and write their copies, and print the errors of those that failed."""
    from stemsplitter.library.analyzing import analyze_song

    for number, song in enumerate(songs, start=1):
        try:
            if is_folder(song.path):
                raise AudioError(
                    f"The folder {shown(song.path)} contains no songs: name another folder, or songs."
                )
            copy = tag / song.folder / song.path.name if tag is not None else None
            if copy is not None:
                refuse_existing(copy, overwrite=overwrite and not is_same(copy, song.path), choice="folder")
            with status(f"{number}/{len(songs)} {printable(song.path.name)}"):
                analysis = analyze_song(song.path, drums)
                if copy is not None:
                    _write_copy(song.path, copy, analysis)
        except StemSplitterError as error:
            print_message(f"error: {error}")
            _log.debug("cause:", exc_info=error)
        else:
            yield song.path, analysis


def _write_copy(song: Path, copy: Path, analysis: "Analysis") -> None:
    from stemsplitter.audio.tagging import copy_with_tags
    from stemsplitter.library.analyzing import tag_values

    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(copy.parent, error) from error
    copy_with_tags(song, copy, tag_values(analysis))


def _print(done: list[tuple[Path, "Analysis"]], as_json: bool, is_one: bool) -> None:
    from stemsplitter.library.analyzing import to_data

    if as_json:
        objects = [
            {"durationSeconds": ceil(each.seconds), "warnings": list(each.warnings), **to_data(each)}
            for _, each in done
        ]
        named = [{"file": str(song), **data} for (song, _), data in zip(done, objects, strict=True)]
        print_json(objects[0] if is_one and objects else named)
    elif done:
        print_rows(_COLUMNS, [_row(song, analysis) for song, analysis in done], as_json=False)
        for song, analysis in done:
            for warning in analysis.warnings:
                print_message(f"warning: {printable(song.name)}: {warning}")


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
