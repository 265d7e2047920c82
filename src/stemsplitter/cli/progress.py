"""Progress on standard error: a bar on a terminal, otherwise a line every five seconds."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stemsplitter.cli.output import duration, print_message

if TYPE_CHECKING:
    from stemsplitter.files.verified import Progress as DownloadProgress
    from stemsplitter.library import Progress

LINE_INTERVAL_S = 5.0


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
    """Show the progress of the one song ``name``; yields a callback. ``device`` is printed without a terminal."""
    if not sys.stderr.isatty():
        yield separation_lines(name, device)
        return
    from stemsplitter.cli.song_bars import SongBars

    with SongBars(1) as bars, bars.song(name) as show:
        yield show


def separation_lines(name: str, device: str) -> Callable[["Progress"], None]:
    """Print that the separation of the song ``name`` begins; return a callback that prints its progress."""
    print_message(f"{name}: {device}")
    printed_at = time.monotonic()

    def show(progress: "Progress") -> None:
        nonlocal printed_at
        if time.monotonic() - printed_at >= LINE_INTERVAL_S:
            printed_at = time.monotonic()
            print_message(f"{name}: {_position(progress)}, {progress.speed:.1f}× real time")

    return show


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


def _position(progress: "Progress") -> str:
    if not progress.fraction:  # the file does not declare its length
        return f"{duration(progress.seconds)} done"
    left = (1 - progress.fraction) / progress.fraction * progress.elapsed
    return f"{progress.fraction:.0%}, {duration(left)} left"
