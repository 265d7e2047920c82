"""A run over a library on a cluster of dask: few songs are submitted at a time, whatever the size of the library."""

import logging
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stemsplitter.cluster import check_connection, stop_of_task
from stemsplitter.library.manifest import Manifest
from stemsplitter.library.separating import separate_song
from stemsplitter.library.tasks import (
    MAX_RUNS,
    LibrarySettings,
    SongResult,
    SongTask,
    add_to,
    pause_before,
    song_tasks,
)

if TYPE_CHECKING:
    from distributed import Client, Future

_WAIT_S = 5.0
_log = logging.getLogger(__name__)


def separate_library(
    source: str,
    output: str,
    settings: LibrarySettings,
    client: "Client",
    *,
    manifest: Manifest | None = None,
    skip_existing: bool = False,
) -> Generator[SongResult, None, None]:
    """Separate all songs of a folder or a prefix of a bucket on the workers of ``client``; yield results as they come.

    The library is listed while it is separated; only a few songs per thread of the workers are in memory. A song whose
    worker dies runs again, on any worker. Closing the generator stops the songs in progress after their segments.

    Args:
        source: a folder that all workers see under this path, or ``s3://BUCKET/PREFIX``.
        output: likewise; the stems of a song go to a folder of its name.
        settings: of all songs.
        client: connected to the scheduler; the workers need this package, and for ``device="cuda"`` the resource
            ``GPU``.
        manifest: gets a line for each result.
        skip_existing: skip the songs that the manifest has, with their content and the settings.

    Raises:
        RequestError: ``source`` and ``output`` are the same, or the scheduler does not answer anymore.
        StorageError: the bucket cannot be listed.
    """
    run = _Run(client, settings)
    tasks = song_tasks(source, output, settings, manifest if skip_existing else None)
    try:
        for result in run.results(tasks):
            add_to(manifest, result)
            yield result
    finally:
        run.stop()


@dataclass
class _Run:
    client: "Client"
    settings: LibrarySettings
    running: dict["Future", SongTask] = field(default_factory=dict)
    failed: list[tuple[float, SongTask]] = field(default_factory=list)  # to run again, at a time
    runs: dict[str, int] = field(default_factory=dict)  # of songs that ran more than once
    threads: int = 1

    def results(self, tasks: Iterator[SongTask]) -> Iterator[SongResult]:
        """Yield the results of tasks, keeping the workers busy with as few songs submitted as that needs."""
        self._fill(tasks)
        while self.running or self.failed:
            self._wait()
            check_connection(self.client)
            for future in [future for future in self.running if future.done()]:
                task = self.running.pop(future)
                if (result := self._result(task, future)) is not None:
                    self.runs.pop(task.key, None)
                    yield result
            self._fill(tasks)

    def stop(self) -> None:
        """Stop the songs in progress."""
        with suppress(OSError, TimeoutError):
            self.client.cancel(list(self.running))

    def _wait(self) -> None:
        """Wait until a song is done, or is to run again, or for a few seconds."""
        from distributed import CancelledError, wait

        due = min((due for due, _ in self.failed), default=float("inf")) - time.monotonic()
        seconds = min(max(due, 0.01), _WAIT_S)
        if not self.running:
            time.sleep(seconds)
            return
        # songs are canceled when the connection to the scheduler is lost
        with suppress(TimeoutError, CancelledError), self.client.as_current():
            wait(list(self.running), timeout=seconds, return_when="FIRST_COMPLETED")

    def _fill(self, tasks: Iterator[SongTask]) -> None:
        due = [(time_, task) for time_, task in self.failed if time_ <= time.monotonic()]
        for entry in due:
            self.failed.remove(entry)
            self._submit(entry[1])
        with suppress(OSError, TimeoutError):  # no connection
            self.threads = sum(self.client.nthreads().values())
        while len(self.running) < max(2 * self.threads, 2):
            task = next(tasks, None)
            if task is None:
                return
            self._submit(task)

    def _submit(self, task: SongTask) -> None:
        resources = {"GPU": 1} if self.settings.device.startswith("cuda") else None
        future = self.client.submit(run_task, task, pure=False, resources=resources)
        self.running[future] = task

    def _result(self, task: SongTask, future: "Future") -> SongResult | None:
        """Return the result of a finished task; None if the song runs again because a machine failed."""
        from distributed import CancelledError

        try:
            result: SongResult = future.result()
            return result
        except CancelledError:  # the scheduler has ended, and with it all that it knew
            self.failed.append((time.monotonic() + pause_before(2), task))
            return None
        except Exception as error:  # of the worker or of the cluster; the songs' own errors are in the result
            count = self.runs[task.key] = self.runs.get(task.key, 1) + 1
            if count <= MAX_RUNS:
                _log.warning("%s runs again, for %s: %s", task.key, type(error).__name__, error)
                self.failed.append((time.monotonic() + pause_before(count), task))
                return None
            message = f"No worker could separate it ({type(error).__name__}: {error}): read the logs of the workers."
            return SongResult.failed(task.song, task.content, message)


def run_task(task: SongTask) -> SongResult:
    """Run a task on a worker of dask; it stops when its result is not wanted anymore."""
    return separate_song(task, stop_of_task())
