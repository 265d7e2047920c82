"""Progress on standard error: a bar on a terminal, otherwise a line every five seconds."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from stemsplitter.cli.output import duration, print_message

if TYPE_CHECKING:
    from stemsplitter.files.verified import Progress as DownloadProgress
    from stemsplitter.library import Progress

LINE_INTERVAL_S = 5.0
BAR_WIDTH = 40
BESIDE_BAR = 37  # columns that percentage, speed and remaining time take up beside name and bar


@contextmanager
def download_progress(name: str) -> Iterator["DownloadProgress"]:
    """Show the download of the model ``name``; yields a callback that takes the bytes done and their total."""
    if not sys.stderr.isatty():
        yield _download_lines(name)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def separation_progress(name: str, device: str) -> Iterator[Callable[["Progress"], None]]:
    """Show the separation of the song ``name``; yields a callback. ``device`` is printed without a terminal."""
    if sys.stderr.isatty():
        with _separation_bar(name) as show:
            yield show
    else:
        print_message(f"{name}: {device}")
        yield _separation_lines(name)


@contextmanager
def status(text: str) -> Iterator[None]:
    """Show ``text`` on a terminal while the block runs."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(f"{text} …"):
        yield


def _download_lines(name: str) -> "DownloadProgress":
    printed_at, printed = time.monotonic(), -1

    def show(done: int, total: int | None) -> None:
        nonlocal printed_at, printed
        if done != printed and (done == total or time.monotonic() - printed_at >= LINE_INTERVAL_S):
            printed_at, printed = time.monotonic(), done
            of = f" of {total / 1e6:.1f}" if total else ""
            print_message(f"{name}: {done / 1e6:.1f}{of} MB")

    return show


def _separation_lines(name: str) -> Callable[["Progress"], None]:
    printed_at = time.monotonic()

    def show(progress: "Progress") -> None:
        nonlocal printed_at
        if time.monotonic() - printed_at >= LINE_INTERVAL_S:
            printed_at = time.monotonic()
            print_message(f"{name}: {_position(progress)}, {progress.speed:.1f}× real time")

    return show


def _position(progress: "Progress") -> str:
    if not progress.fraction:  # the file does not declare its length
        return f"{duration(progress.seconds)} done"
    left = (1 - progress.fraction) / progress.fraction * progress.elapsed
    return f"{progress.fraction:.0%}, {duration(left)} left"


@contextmanager
def _separation_bar(name: str) -> Iterator[Callable[["Progress"], None]]:
    """Show a bar that fits the terminal and is removed at the end."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        ProgressColumn,
        Task,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar
    from rich.table import Column
    from rich.text import Text

    class TimeColumn(ProgressColumn):
        """The remaining time; before it can be estimated, the elapsed time."""

        def __init__(self) -> None:
            super().__init__()
            self._remaining = TimeRemainingColumn()

        def render(self, task: Task) -> Text:
            if task.completed:
                return self._remaining.render(task)
            elapsed = timedelta(seconds=int(task.elapsed or 0))
            return Text(f"{elapsed} elapsed", style="progress.elapsed")

    console = Console(stderr=True)
    room = max(console.width - BESIDE_BAR, 20)
    width = min(BAR_WIDTH, room // 3)
    name_column = Column(max_width=room - width, no_wrap=True, overflow="ellipsis")
    columns = (
        TextColumn("{task.description}", markup=False, table_column=name_column),
        BarColumn(width),
        TaskProgressColumn(),
        TextColumn("{task.fields[speed]}", markup=False),
        TimeColumn(),
    )
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task(name, total=1.0, speed="")

        def show(progress: "Progress") -> None:
            # without a total, if the file does not declare its length
            bar.tasks[0].total = 1.0 if progress.fraction else None
            bar.update(task, completed=progress.fraction, speed=f"{progress.speed:.1f}× real time")

        yield show
