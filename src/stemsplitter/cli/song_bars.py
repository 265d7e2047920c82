"""Progress of a run on a terminal: a bar for each song in progress and, for several songs, one for all."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    ProgressColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars
from rich.table import Column
from rich.text import Text

from stemsplitter.cli.output import duration

if TYPE_CHECKING:
    from stemsplitter.library import Progress

BAR_WIDTH = 40
BESIDE_BAR = 37  # columns that percentage, speed and remaining time take up beside name and bar


class SongBars:
    """Bars at the end of standard error, removed at the end; any thread may call the methods."""

    def __init__(self, songs: int) -> None:
        """Draw bars that fit the terminal, for a run of so many songs."""
        self._songs = songs
        self._finished = 0
        self._seconds = 0.0  # of audio, of the songs that are no longer in progress
        self._running: dict[TaskID, Progress] = {}
        self._lock = threading.Lock()
        self._started = time.monotonic()
        console = Console(stderr=True)
        room = max(console.width - BESIDE_BAR, 20)
        width = min(BAR_WIDTH, room // 3)
        self._bars = Bars(
            TextColumn(
                "{task.description}",
                markup=False,
                table_column=Column(max_width=room - width, no_wrap=True, overflow="ellipsis"),
            ),
            BarColumn(width),
            TaskProgressColumn(),
            TextColumn("{task.fields[speed]}", markup=False),
            _TimeColumn(),
            console=console,
            transient=True,
            redirect_stdout=False,
        )
        self._all = self._bars.add_task("", total=songs, speed="", visible=songs > 1)
        self._show_all()

    @contextmanager
    def song(self, name: str) -> Iterator[Callable[["Progress"], None]]:
        """Show the bar of the song ``name``; yields the callback for its progress."""
        bar = self._bars.add_task(name, total=1.0, speed="")

        def show(progress: "Progress") -> None:
            task = next(task for task in self._bars.tasks if task.id == bar)
            # without a total, if the file does not declare its length
            task.total = 1.0 if progress.fraction else None
            self._bars.update(bar, completed=progress.fraction, speed=_speed(progress.speed))
            with self._lock:
                self._running[bar] = progress
                self._show_all()

        try:
            yield show
        finally:
            self._bars.refresh()
            self._bars.remove_task(bar)
            with self._lock:
                last = self._running.pop(bar, None)
                self._seconds += last.seconds if last else 0

    def finished(self) -> None:
        """Count a song that is separated, failed or skipped."""
        with self._lock:
            self._finished += 1
            self._show_all()

    def print(self, line: str) -> None:
        """Print a line above the bars."""
        self._bars.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _show_all(self) -> None:
        running = self._running.values()
        seconds = self._seconds + sum(progress.seconds for progress in running)
        elapsed = time.monotonic() - self._started
        self._bars.update(
            self._all,
            completed=self._finished + sum(progress.fraction for progress in running),
            description=f"{self._finished} of {self._songs} songs, {duration(seconds)} of audio",
            speed=_speed(seconds / elapsed) if seconds else "",
        )

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()


class _TimeColumn(ProgressColumn):
    """The remaining time; before it can be estimated, the elapsed time."""

    def __init__(self) -> None:
        super().__init__()
        self._remaining = TimeRemainingColumn()

    def render(self, task: Task) -> Text:
        if task.completed:
            return self._remaining.render(task)
        elapsed = timedelta(seconds=int(task.elapsed or 0))
        return Text(f"{elapsed} elapsed", style="progress.elapsed")


def _speed(speed: float) -> str:
    return f"{speed:.1f}× real time"
