"""A run of ``split``: one song after the other, into files or to standard output."""

import logging
import secrets
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from stemsplitter.audio.excerpt import Excerpt
from stemsplitter.cli.report import SeparatedSong, TextReport
from stemsplitter.cli.songs import is_folder
from stemsplitter.cli.targets import Target
from stemsplitter.errors import AudioError, RequestError, StemSplitterError
from stemsplitter.files.names import shown
from stemsplitter.files.temporary import temporary_folder

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
    instruments: str | None = None
    overwrite: bool = False
    skip_existing: bool = False
    excerpt: Excerpt = field(default_factory=Excerpt)


def separate_songs(
    targets: Iterable[Target], separator: "Separator", report: TextReport, options: OutputOptions
) -> bool:
    """Separate songs, each into its target. Returns True unless a song failed.

    Raises:
        RequestError: the options are invalid for every song.
    """
    done = failed = skipped = 0
    for target in targets:
        song = target.song.shown
        try:
            if options.skip_existing and target.is_done():
                skipped += 1
                report.skipped(song, target.folder)
            else:
                report.separated(_split(target, separator, report, options))
                done += 1
        except RequestError:
            raise  # every song would fail with it
        except Exception as error:
            failed += 1
            report.failed(
                song, error if isinstance(error, StemSplitterError) else _internal_error(song, error)
            )
            _log.debug("cause:", exc_info=error)
    report.finished(done, failed, skipped)
    return not failed


@contextmanager
def standard_input() -> Iterator[Path]:
    """Copy standard input to a temporary file, which is named ``stdin``.

    Raises:
        RequestError: standard input is a terminal.
    """
    if sys.stdin.isatty():
        raise RequestError("Standard input is a terminal: pipe a song into the command, or name a file.")
    with temporary_folder() as folder:
        path = folder / "stdin"
        with path.open("wb") as copy:
            shutil.copyfileobj(sys.stdin.buffer, copy)
        yield path


@contextmanager
def standard_output() -> Iterator[Path]:
    """Yield a temporary folder; the one file in it is written to standard output at the end.

    Raises:
        RequestError: standard output is a terminal.
    """
    if sys.stdout.isatty():
        raise RequestError("Standard output is a terminal: redirect it to a file or a pipe.")
    with temporary_folder() as folder:
        yield folder
        for path in folder.rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()


def _split(
    target: Target, separator: "Separator", report: TextReport, options: OutputOptions
) -> SeparatedSong:
    if error := target.refuse(overwrite=options.overwrite):
        raise error
    separated = (_separate_into_zip if options.zip else _separate)(target, separator, report, options)
    if options.overwrite:
        target.remove_earlier()
    return separated


def _separate(
    target: Target, separator: "Separator", report: TextReport, options: OutputOptions
) -> SeparatedSong:
    from stemsplitter.library.verification import verify_files

    song, shown_as = target.song.path, target.song.shown
    with report.separating(shown_as, separator) as progress:
        if is_folder(song):
            raise AudioError(f"The folder {shown(song)} contains no songs: name another folder, or songs.")
        stems = separator.separate_to(
            song,
            target.output,
            format=options.format,
            filename=target.filename,
            sample_rate=options.rate,
            instruments=options.instruments,
            start=options.excerpt.start,
            duration=options.excerpt.duration,
            progress=progress,
        )
    paths = list(dict.fromkeys(file.path for file in stems.files))
    if not options.verify:
        return SeparatedSong(shown_as, target.folder, stems, paths)
    with report.status("Verifying the stems"):
        return SeparatedSong(shown_as, target.folder, stems, paths, verify_files(song, stems))


def _separate_into_zip(
    target: Target, separator: "Separator", report: TextReport, options: OutputOptions
) -> SeparatedSong:
    """Write the stems into a temporary folder first, so that stems already in the folder stay unchanged."""
    from stemsplitter.files.archive import write_zip
    from stemsplitter.files.folder import OutputFolder

    (archive,) = target.files
    held = OutputFolder(archive.parent)
    temporary = archive.parent / f".stemsplitter-{secrets.token_hex(8)}"
    finished = False
    try:
        inner = replace(target, output=temporary, filename=None)
        separated = _separate(inner, separator, report, options)
        with report.status("Writing the ZIP file"):
            write_zip(archive, separated.paths)
        finished = True
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        held.release(keep=finished)
    return replace(separated, paths=[archive])


def _internal_error(song: Path, error: Exception) -> StemSplitterError:
    return StemSplitterError(
        f"{shown(song)} cannot be separated because of an internal error ({type(error).__name__}): "
        "run `stemsplitter --verbose split …` again and report the output."
    )
