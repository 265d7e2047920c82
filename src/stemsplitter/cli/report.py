"""Report of a run of ``split``: text, or JSON lines with ``--json``."""

import math
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stemsplitter.cli.failures import Failures, Tally
from stemsplitter.cli.output import duration, print_event, print_message, printable
from stemsplitter.cli.progress import download_progress, separation_lines, status
from stemsplitter.files.names import shown

if TYPE_CHECKING:
    from stemsplitter.catalogue.entries import ModelEntry
    from stemsplitter.cli.song_bars import SongBars
    from stemsplitter.files.verified import Progress as DownloadProgress
    from stemsplitter.library import Progress, Separator, StemFiles
    from stemsplitter.library.verification import Verification


@dataclass(frozen=True)
class SeparatedSong:
    """A song, its folder and its stems; ``paths`` are the files written, such as one ZIP file for all stems."""

    song: Path
    folder: Path
    stems: "StemFiles"
    paths: list[Path]
    verification: "Verification | None" = None


class TextReport:
    """Results as text on standard output, progress and errors on standard error. Base of :class:`JsonReport`.

    Several threads may call the methods, each for another song.
    """

    def __init__(self, songs: int, *, to_stderr: bool = False) -> None:
        self._songs = songs
        self._output = sys.stderr if to_stderr else sys.stdout
        self._names_files = not to_stderr  # those that standard output takes are temporary
        self._started = 0
        self._failures = Failures()
        self._notes: tuple[str, ...] = ()
        self._bars: SongBars | None = None
        self._lock = threading.RLock()  # the lines of a song stay together

    def fetching(self, entry: "ModelEntry") -> AbstractContextManager["DownloadProgress"]:
        """Report the download of a model; yields the callback for its progress."""
        size = f"{entry.size_bytes / 1e6:.0f} MB"
        print_message(f"Downloading the model {entry.name} ({size}, license {entry.licence}) …")
        return download_progress(entry.name)

    def status(self, text: str) -> AbstractContextManager[None]:
        """Report a step without progress."""
        return nullcontext() if self._bars else status(text)

    def loaded(self, separator: "Separator") -> None:
        """Report the notes on the loaded model, once for the whole run."""
        self._notes = separator.notes
        for note in separator.notes:
            print_message(f"warning: {note}")

    def running(self) -> AbstractContextManager[None]:
        """Show the progress of the songs that are separated in the block: bars on a terminal, else lines."""
        return self._with_bars() if sys.stderr.isatty() else nullcontext()

    @contextmanager
    def _with_bars(self) -> Iterator[None]:
        from stemsplitter.cli.song_bars import SongBars

        with SongBars(self._songs) as bars:
            self._bars = bars
            try:
                yield
            finally:
                self._bars = None

    def separating(
        self, song: Path, separator: "Separator"
    ) -> AbstractContextManager[Callable[["Progress"], None]]:
        """Report the start of a song; yields the callback for its progress."""
        with self._lock:
            self._started += 1
            number = f"{self._started}/{self._songs} " if self._songs > 1 else ""
        name = f"{number}{printable(song.name)}"
        if self._bars is not None:
            return self._bars.song(name)
        return nullcontext(separation_lines(name, f"{separator.entry.name} on {separator.device}"))

    def separated(self, song: SeparatedSong) -> None:
        """Report a finished song."""
        stems = song.stems
        self._finished(
            f"{printable(song.song.name)}: {duration(stems.seconds)} of audio in {duration(stems.elapsed)} "
            f"({stems.speed:.1f}× real time), {_models(stems)} on {stems.device}",
            *(f"  {printable(str(path))}" for path in (song.paths if self._names_files else ())),
            *(f"  {line}" for line in self._remarks(song)),
        )

    def skipped(self, song: Path, folder: Path) -> None:
        """Report a song whose stems exist."""
        self._started += 1
        self._finished(f"{printable(song.name)}: skipped, its stems are in {printable(str(folder))}")

    def failed(self, song: Path, error: Exception) -> None:
        """Report a failed song."""
        message = one_line(error)
        # an error about a stem file does not name the song
        prefix = "" if shown(song) in message else f"{shown(song)}: "
        with self._lock:
            self._failures.add(printable(str(song)), message)
            self._finished(f"error: {prefix}{message}", is_error=True)

    def finished(self, tally: Tally, has_manifest: bool = False) -> None:
        """Report the end of the run."""
        self._failures.print(tally.songs, has_manifest)
        if self._songs > 1:
            others = f", {tally.skipped} skipped" if tally.skipped else ""
            others += f", {tally.failed} failed" if tally.failed else ""
            print(f"{tally.separated} of {self._songs} songs separated{others}.", file=self._output)

    def _finished(self, *lines: str, is_error: bool = False) -> None:
        """Print the lines of a song that is finished, on a terminal above the bars."""
        output = sys.stderr if is_error else self._output
        with self._lock:
            for line in lines:
                if self._bars is not None and output.isatty():
                    self._bars.print(line)
                else:
                    print(line, file=output, flush=True)
            if self._bars is not None:
                self._bars.finished()

    def _remarks(self, song: SeparatedSong) -> Iterator[str]:
        stems, verification = song.stems, song.verification
        yield from (f"warning: {line}" for line in stems.warnings if line not in self._notes)
        if stems.gain != 1:
            attenuation = -20 * math.log10(stems.gain)
            level = f"{attenuation:.1f} dB" if attenuation >= 0.05 else "less than 0.1 dB"
            yield f"All stems are attenuated by {level} to prevent clipping."
        if stems.sample_rate != stems.source.sample_rate:
            yield f"The sample rate is {stems.sample_rate} Hz; that of the song is {stems.source.sample_rate} Hz."
        if stems.source.source_channels > 2:
            yield f"The {stems.source.source_channels} channels of the song were mixed down to stereo."
        if verification is not None:
            yield f"Verified: every stem decodes to {stems.samples} samples."
            if verification.residual_dbfs is not None:
                yield f"The decoded stems sum to the song with a residual of {verification.residual_dbfs:.0f} dBFS."


class JsonReport(TextReport):
    """One JSON object per line on standard output. Paths are exact, whatever characters they have."""

    def fetching(self, entry: "ModelEntry") -> AbstractContextManager["DownloadProgress"]:
        print_event("fetching", model=entry.name, licence=entry.licence, bytes=entry.size_bytes)
        return nullcontext(lambda done, total: None)

    def status(self, text: str) -> AbstractContextManager[None]:
        return nullcontext()

    def loaded(self, separator: "Separator") -> None:
        """Print nothing: the notes are among the warnings of each song."""

    def running(self) -> AbstractContextManager[None]:
        return nullcontext()

    @contextmanager
    def separating(self, song: Path, separator: "Separator") -> Iterator[Callable[["Progress"], None]]:
        print_event("started", song=str(song), model=separator.entry.name, device=separator.device)
        yield lambda progress: print_event(
            "progress",
            song=str(song),
            fraction=round(progress.fraction, 4),
            seconds=round(progress.seconds, 3),
            speed=round(progress.speed, 2),
        )

    def separated(self, song: SeparatedSong) -> None:
        print_event("separated", song=str(song.song), **song_fields(song))

    def skipped(self, song: Path, folder: Path) -> None:
        print_event("skipped", song=str(song), folder=str(folder))

    def failed(self, song: Path, error: Exception) -> None:
        print_event("failed", song=str(song), error=one_line(error))

    def finished(self, tally: Tally, has_manifest: bool = False) -> None:
        print_event("finished", separated=tally.separated, skipped=tally.skipped, failed=tally.failed)


def song_fields(song: SeparatedSong) -> dict[str, Any]:
    """Return the result of a song as a JSON object, as ``--json`` prints it and a manifest has it."""
    from stemsplitter.library.results import result_fields

    encoded = song.verification.residual_dbfs if song.verification else None
    return {"folder": str(song.folder), **result_fields(song.stems, song.paths, encoded)}


def _models(stems: "StemFiles") -> str:
    model, *others = (f"{used.name} ({used.licence})" for used in stems.models)
    if len(others) > 1:
        return f"{model}, which is {' and '.join(others)},"
    return f"{model} with vocals by {others[0]}" if others else model


def one_line(error: Exception) -> str:
    """Return the message of an error on one line."""
    return " ".join(str(error).split())
