"""A run of ``split``: songs one after the other or side by side, into files or to standard output."""

import logging
import math
import os
import secrets
import shutil
import sys
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stemsplitter.audio.excerpt import Excerpt
from stemsplitter.cli.failures import Tally
from stemsplitter.cli.report import SeparatedSong, TextReport, one_line, song_fields
from stemsplitter.cli.songs import is_folder
from stemsplitter.cli.targets import Target
from stemsplitter.errors import AudioError, RequestError, StemSplitterError, Stopped
from stemsplitter.files.names import shown
from stemsplitter.files.temporary import temporary_folder

if TYPE_CHECKING:
    from stemsplitter.library import Separator
    from stemsplitter.library.manifest import Manifest
    from stemsplitter.library.results import ShouldStop

MEMORY_OF_A_SONG = 1 << 30  # bytes, a generous estimate

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
    measure: bool = False


def separate_songs(
    targets: Collection[Target],
    separator: "Separator",
    report: TextReport,
    options: OutputOptions,
    jobs: int = 1,
    manifest: "Manifest | None" = None,
) -> Tally:
    """Separate songs, each into its target, ``jobs`` of them side by side. Returns the numbers of their results.

    With a ``manifest``, each song gets a line in it, and existing stems are skipped by the song's content and the
    settings instead of by their names.

    Raises:
        RequestError: the options are invalid for every song.
    """
    run = _Run(separator, report, options, manifest)
    with report.running():
        if jobs == 1:
            for target in targets:
                run.separate(target)
        else:
            run.separate_side_by_side(targets, jobs)
    tally = Tally(**Counter(run.results))
    report.finished(tally, manifest is not None)
    return tally


def parse_jobs(jobs: str, songs: int) -> int:
    """Return the number of songs to separate side by side, at most ``songs``, for the value of ``--jobs``.

    For ``auto``: a model keeps up to four cores busy, and one song more fills the time in which songs are opened and
    finished, if there is memory for it.

    Raises:
        RequestError: the value is neither ``auto`` nor a positive number.
    """
    if jobs != "auto":
        if not jobs.isdecimal() or not int(jobs):
            raise RequestError(f"--jobs cannot be {jobs!r}: give a number of songs from 1 on, or auto.")
        return min(int(jobs), songs)
    from stemsplitter.separation.runtimes import usable_cores
    from stemsplitter.separation.runtimes.openvino import MAX_STREAMS

    by_cores = math.ceil(usable_cores() / MAX_STREAMS) + 1
    return max(min(by_cores, _free_memory() // MEMORY_OF_A_SONG, songs), 1)


def _free_memory() -> int:
    """Return the bytes that programs can still use, as the kernel estimates them; a lot where it does not."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return sys.maxsize
    kilobytes = next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))
    return int(kilobytes) * 1024


class _Run:
    """The songs of a run, separated one after the other or side by side, and what became of each."""

    def __init__(
        self,
        separator: "Separator",
        report: TextReport,
        options: OutputOptions,
        manifest: "Manifest | None",
    ) -> None:
        self.results: list[str] = []
        self._separator, self._report, self._options = separator, report, options
        self._manifest = manifest
        self._stopping = threading.Event()

    def separate_side_by_side(self, targets: Iterable[Target], jobs: int) -> None:
        """Separate songs in ``jobs`` threads, which share the model. An interrupt stops each after its segment."""
        pool = ThreadPoolExecutor(jobs, thread_name_prefix="song")
        try:
            for future in as_completed([pool.submit(self.separate, target) for target in targets]):
                future.result()
        finally:
            self._stopping.set()
            pool.shutdown(cancel_futures=True)

    def separate(self, target: Target) -> None:
        song = target.song.shown
        content = self._content_of(target.song.path)
        try:
            if (folder := self._finished_folder(target, content)) is not None:
                self._report.skipped(song, folder)
                self.results.append("skipped")
                return
            separated = _split(target, self._separator, self._report, self._options, self._stopping.is_set)
            if self._manifest is not None:
                analysis = _analysis_data(target.song.path)
                self._manifest.add(str(song), content, {**song_fields(separated), "analysis": analysis})
            self._report.separated(separated)
            self.results.append("separated")
        except (RequestError, Stopped):
            raise  # every song would fail with it
        except Exception as error:
            self._failed(song, content, error)

    def _content_of(self, song: Path) -> str | None:
        """Return what identifies the content of a song; None without a manifest, or if it cannot be read."""
        if self._manifest is None:
            return None
        from stemsplitter.library.manifest import content_of

        return content_of(song)

    def _finished_folder(self, target: Target, content: str | None) -> Path | None:
        """Return the folder of the stems if the song is skipped."""
        if not self._options.skip_existing:
            return None
        if self._manifest is None:
            return target.folder if target.is_done() else None
        line = self._manifest.finished(content) if content is not None else None
        return Path(os.path.commonpath([Path(file).parent for file in line["files"]])) if line else None

    def _failed(self, song: Path, content: str | None, error: Exception) -> None:
        _log.debug("cause:", exc_info=error)
        known = error if isinstance(error, StemSplitterError) else _internal_error(song, error)
        if self._manifest is not None:
            self._manifest.add(str(song), content, {"error": one_line(known)})
        self._report.failed(song, known)
        self.results.append("failed")


def _analysis_data(song: Path) -> dict[str, Any]:
    from stemsplitter.library.analyzing import analyze_song, to_data

    return to_data(analyze_song(song))


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
    target: Target, separator: "Separator", report: TextReport, options: OutputOptions, stop: "ShouldStop"
) -> SeparatedSong:
    if error := target.refuse(overwrite=options.overwrite):
        raise error
    separated = (_separate_into_zip if options.zip else _separate)(target, separator, report, options, stop)
    if options.overwrite:
        target.remove_earlier()
    return separated


def _separate(
    target: Target, separator: "Separator", report: TextReport, options: OutputOptions, stop: "ShouldStop"
) -> SeparatedSong:
    from stemsplitter.library.verification import verify_files

    song, shown_as = target.song.path, target.song.shown
    with report.separating(shown_as, separator) as progress:
        if is_folder(song) and not os.access(song, os.R_OK | os.X_OK):
            raise AudioError(f"The folder {shown(song)} cannot be read: change its permissions.")
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
            levels=options.measure,
            progress=progress,
            stop=stop,
        )
    paths = list(dict.fromkeys(file.path for file in stems.files))
    if not options.verify:
        return SeparatedSong(shown_as, target.folder, stems, paths)
    with report.status("Verifying the stems"):
        return SeparatedSong(shown_as, target.folder, stems, paths, verify_files(song, stems))


def _separate_into_zip(
    target: Target, separator: "Separator", report: TextReport, options: OutputOptions, stop: "ShouldStop"
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
        separated = _separate(inner, separator, report, options, stop)
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
