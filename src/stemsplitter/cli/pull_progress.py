"""The progress of fetching a model."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from stemsplitter.files.verified import Progress

_LINE_EVERY_S = 5.0


@contextmanager
def pull_progress(name: str) -> Iterator[Progress]:
    """A bar on a terminal, a line now and then elsewhere; both on standard error."""
    if not sys.stderr.isatty():
        yield _line_printer(name)
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Bar(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _line_printer(name: str) -> Progress:
    shown_at, shown = time.monotonic(), -1

    def show(done: int, total: int | None) -> None:
        nonlocal shown_at, shown
        if done != shown and (done == total or time.monotonic() - shown_at >= _LINE_EVERY_S):
            shown_at, shown = time.monotonic(), done
            of = f" of {total / 1e6:.1f}" if total else ""
            print(f"{name}: {done / 1e6:.1f}{of} MB", file=sys.stderr)

    return show
