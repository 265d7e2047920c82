"""How `split` tells what it does: a bar on a terminal, plain lines elsewhere, JSON lines for programs.

Progress and messages go to standard error, results to standard output; JSON goes to standard output alone.
"""

import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from stemsplitter.cli.pull_progress import pull_progress
from stemsplitter.files.names import shown

if TYPE_CHECKING:
    from stemsplitter.catalogue.entries import ModelEntry
    from stemsplitter.files.verified import Progress as Fetched
    from stemsplitter.library import Progress, Separator, StemFiles
    from stemsplitter.library.verification import Verification

LINE_EVERY_S = 5.0
BAR_WIDTH = 40
BESIDE_THE_BAR = 37  # cells that share, speed and time left take up beside name and bar


class Report(Protocol):
    """What happens to each song, in the order it happens."""

    def fetching(self, entry: "ModelEntry") -> AbstractContextManager["Fetched"]: ...

    def waiting(self, what: str) -> AbstractContextManager[None]: ...

    def loaded(self, separator: "Separator") -> None: ...

    def separating(
        self, song: Path, separator: "Separator"
    ) -> AbstractContextManager[Callable[["Progress"], None]]: ...

    def separated(
        self,
        song: Path,
        folder: Path,
        result: "StemFiles",
        paths: list[Path],
        checked: "Verification | None",
    ) -> None: ...

    def failed(self, song: Path, error: Exception) -> None: ...

    def finished(self, done: int, failed: int) -> None: ...


def open_report(as_json: bool, songs: int) -> Report:
    """The report that fits where the output goes."""
    return JsonReport() if as_json else TextReport(songs)


class TextReport:
    """For people."""

    def __init__(self, songs: int) -> None:
        self._songs = songs
        self._begun = 0
        self._notes: tuple[str, ...] = ()

    @contextmanager
    def fetching(self, entry: "ModelEntry") -> Iterator["Fetched"]:
        size = f"{entry.size_bytes / 1e6:.0f} MB"
        _say(f"Fetching the model {entry.name} once ({size}, licence {entry.licence}) …")
        with pull_progress(entry.name) as progress:
            yield progress

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        if sys.stderr.isatty():
            from rich.console import Console

            with Console(stderr=True).status(f"{what} …"):
                yield
        else:
            yield

    def loaded(self, separator: "Separator") -> None:
        """Say what there is to know of the model, once and not again for each song."""
        self._notes = separator.notes
        for note in separator.notes:
            _say(f"warning: {note}")

    @contextmanager
    def separating(self, song: Path, separator: "Separator") -> Iterator[Callable[["Progress"], None]]:
        self._begun += 1
        number = f"{self._begun}/{self._songs} " if self._songs > 1 else ""
        name = f"{number}{printable(song.name)}"
        if sys.stderr.isatty():
            with _bar(name) as show:
                yield show
        else:
            _say(f"{name}: {separator.entry.name} on {separator.device}")
            yield _line_printer(name)

    def separated(
        self,
        song: Path,
        folder: Path,
        result: "StemFiles",
        paths: list[Path],
        checked: "Verification | None",
    ) -> None:
        print(
            f"{printable(song.name)}: {duration(result.seconds)} of audio in {duration(result.elapsed)} "
            f"({result.speed:.1f}× real time), {result.model} on {result.device}"
        )
        for path in paths:
            print(f"  {printable(str(path))}")
        for line in _remarks(result, checked, self._notes):
            print(f"  {line}")
        sys.stdout.flush()

    def failed(self, song: Path, error: Exception) -> None:
        message = " ".join(str(error).split())
        # most messages name the song; one about a stem does not, and a batch has many stems of that name
        named = "" if shown(song) in message else f"{shown(song)}: "
        _say(f"error: {named}{message}")

    def finished(self, done: int, failed: int) -> None:
        if self._songs > 1:
            print(f"{done} of {self._songs} songs separated{f', {failed} failed' if failed else ''}.")


class JsonReport:
    """For programs: one object a line, with an ``event``. Paths are exact, whatever their names are made of."""

    @contextmanager
    def fetching(self, entry: "ModelEntry") -> Iterator["Fetched"]:
        emit("fetching", model=entry.name, licence=entry.licence, bytes=entry.size_bytes)
        yield lambda done, total: None

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        yield

    def loaded(self, separator: "Separator") -> None:
        """Nothing: what there is to know of the model is among the warnings of each song."""

    @contextmanager
    def separating(self, song: Path, separator: "Separator") -> Iterator[Callable[["Progress"], None]]:
        emit("started", song=str(song), model=separator.entry.name, device=separator.device)
        yield lambda told: emit(
            "progress",
            song=str(song),
            fraction=round(told.fraction, 4),
            seconds=round(told.seconds, 3),
            speed=round(told.speed, 2),
        )

    def separated(
        self,
        song: Path,
        folder: Path,
        result: "StemFiles",
        paths: list[Path],
        checked: "Verification | None",
    ) -> None:
        in_sum = checked.residual_dbfs if checked else None
        emit(
            "separated",
            song=str(song),
            folder=str(folder),
            files=[str(path) for path in paths],
            stems={
                # one file may hold them all: a zip, or a Native Instruments Stem file
                file.name: {"path": str(file.path if file.path in paths else paths[0]), "peak": file.peak}
                for file in result.files
            },
            model=result.model,
            device=result.device,
            samples=result.samples,
            sample_rate=result.sample_rate,
            seconds=round(result.seconds, 3),
            elapsed=round(result.elapsed, 3),
            speed=round(result.speed, 2),
            gain=result.gain,
            residual_dbfs=round(result.residual_dbfs, 1),
            encoded_residual_dbfs=None if in_sum is None else round(in_sum, 1),
            warnings=list(result.warnings),
        )

    def failed(self, song: Path, error: Exception) -> None:
        emit("failed", song=str(song), error=" ".join(str(error).split()))

    def finished(self, done: int, failed: int) -> None:
        emit("finished", separated=done, failed=failed)


def emit(event: str, **values: Any) -> None:
    """Print one JSON object on a line of its own, in ASCII: right on every terminal, and for every path.

    A byte of a path that is not UTF-8 is one of U+DC80 to U+DCFF, as Python's ``os.fsencode`` expects it.
    """
    print(json.dumps({"event": event, **values}), flush=True)


def printable(text: str) -> str:
    """A path as one line of valid UTF-8."""
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(character if character.isprintable() else "�" for character in text)


def duration(seconds: float) -> str:
    """``12.3 s``, ``3 min 20 s`` or ``1 h 2 min``."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes = round(seconds) // 60
    return (
        f"{minutes} min {round(seconds) % 60} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
    )


def _remarks(
    result: "StemFiles", checked: "Verification | None", told_before: tuple[str, ...]
) -> Iterator[str]:
    yield from (f"warning: {line}" for line in result.warnings if line not in told_before)
    if result.gain != 1:
        softer = -20 * math.log10(result.gain)
        level = f"{softer:.1f} dB" if softer >= 0.05 else "a trifle (less than 0.1 dB)"
        yield f"All stems are {level} softer than in the mix, so that none clips."
    if result.sample_rate != result.source.sample_rate:
        yield f"The stems have {result.sample_rate} Hz, the song {result.source.sample_rate} Hz."
    if result.source.source_channels > 2:
        yield f"The song's {result.source.source_channels} channels were mixed to stereo first."
    if checked is not None:
        yield f"Checked: every stem decodes to {result.samples} samples."
        if checked.residual_dbfs is not None:
            yield f"Decoded and added up, the stems differ from the mix by {checked.residual_dbfs:.0f} dBFS."


@contextmanager
def _bar(name: str) -> Iterator[Callable[["Progress"], None]]:
    """A bar that fits the terminal, and is gone when the song is done."""
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar
    from rich.table import Column

    console = Console(stderr=True)
    room = max(console.width - BESIDE_THE_BAR, 20)
    width = min(BAR_WIDTH, room // 3)
    cut = Column(max_width=room - width, no_wrap=True, overflow="ellipsis")
    columns = (
        TextColumn("{task.description}", markup=False, table_column=cut),
        BarColumn(width),
        TaskProgressColumn(),
        TextColumn("{task.fields[speed]}", markup=False),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task(name, total=None, speed="")  # in motion until a fraction is known

        def show(told: "Progress") -> None:
            total = 1.0 if told.fraction else None
            bar.update(task, total=total, completed=told.fraction, speed=f"{told.speed:.1f}× real time")

        yield show


def _line_printer(name: str) -> Callable[["Progress"], None]:
    shown_at = time.monotonic()

    def show(told: "Progress") -> None:
        nonlocal shown_at
        if time.monotonic() - shown_at >= LINE_EVERY_S:
            shown_at = time.monotonic()
            _say(f"{name}: {_how_far(told)}, {told.speed:.1f}× real time")

    return show


def _how_far(told: "Progress") -> str:
    if not told.fraction:  # a file that does not tell its length
        return f"{duration(told.seconds)} done"
    return f"{told.fraction:.0%}, {duration((1 - told.fraction) / told.fraction * told.elapsed)} left"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
