"""A run over a library on a cluster of dask: few songs are submitted at a time, whatever the size of the library."""

import logging
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from stemsplitter.cluster.locations import Location, open_location
from stemsplitter.cluster.tasks import LibrarySettings, SongResult, SongTask, separate_song
from stemsplitter.errors import RequestError
from stemsplitter.library.manifest import Manifest

if TYPE_CHECKING:
    from distributed import Client, Future

MAX_RUNS = 8
"""Runs of a song whose workers die, or that a worker cannot run: the machines die more often than a song kills them."""

CONNECT_S = 10.0
_STOP_POLL_S = 2.0
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
    """
    run = _Run(client, settings)
    tasks = _tasks(source, output, settings, manifest if skip_existing else None)
    try:
        for result in run.results(tasks):
            if manifest is not None:
                manifest.add(result.song, result.content, result.fields or {"error": result.error})
            yield result
    finally:
        run.stop()


def _tasks(source: str, output: str, settings: LibrarySettings, done: Manifest | None) -> Iterator[SongTask]:
    library = open_location(source)
    inside = _inside(source, output)
    for song in library.songs():
        if inside is not None and song.key.startswith(inside):
            continue  # the stems of earlier songs
        content = song.content
        if done is not None:
            content = content or library.content(song.key)
            if content is not None and done.finished_files(content) is not None:
                continue
        yield SongTask(source, output, song.key, settings, content)


def _inside(source: str, output: str) -> str | None:
    """Return the start of keys in ``source`` that are in ``output``; None if it is elsewhere."""
    source, output = source.rstrip("/") + "/", output.rstrip("/") + "/"
    return output[len(source) :] if output.startswith(source) else None


@dataclass
class _Run:
    client: "Client"
    settings: LibrarySettings
    name: str = field(default_factory=lambda: f"stemsplitter-{uuid4().hex}")
    running: dict["Future", SongTask] = field(default_factory=dict)
    runs: dict[str, int] = field(default_factory=dict)  # of songs that ran more than once

    def results(self, tasks: Iterator[SongTask]) -> Iterator[SongResult]:
        """Yield the results of tasks, keeping the workers busy with as few songs submitted as that needs."""
        from distributed import wait

        self._fill(tasks)
        while self.running:
            with suppress(
                TimeoutError
            ):  # asked again, as a scheduler that was restarted knows nothing of the songs
                wait(list(self.running), timeout=_WAIT_S, return_when="FIRST_COMPLETED")
            for future in [future for future in self.running if future.done()]:
                task = self.running.pop(future)
                if (result := self._result(task, future)) is not None:
                    self.runs.pop(task.key, None)
                    yield result
            self._fill(tasks)

    def stop(self) -> None:
        """Stop the songs in progress."""
        if not self.running:
            return
        from distributed import Event

        with suppress(OSError, TimeoutError):
            Event(self.name, client=self.client).set()
            self.client.cancel(list(self.running))

    def _fill(self, tasks: Iterator[SongTask]) -> None:
        threads = sum(self.client.nthreads().values())
        while len(self.running) < max(2 * threads, 2):
            task = next(tasks, None)
            if task is None:
                return
            self._submit(task)

    def _submit(self, task: SongTask) -> None:
        resources = {"GPU": 1} if self.settings.device.startswith("cuda") else None
        future = self.client.submit(run_task, task, self.name, pure=False, resources=resources)
        self.running[future] = task

    def _result(self, task: SongTask, future: "Future") -> SongResult | None:
        """Return the result of a finished task; None if the song runs again because a machine failed."""
        try:
            result: SongResult = future.result()
            return result
        except Exception as error:  # of the worker or of the cluster; the songs' own errors are in the result
            count = self.runs[task.key] = self.runs.get(task.key, 1) + 1
            if count <= MAX_RUNS:
                _log.warning("%s runs again, for %s: %s", task.key, type(error).__name__, error)
                self._submit(task)
                return None
            location: Location = open_location(task.source)
            message = f"No worker could separate it ({type(error).__name__}: {error}): read the logs of the workers."
            return SongResult(location.path(task.key), task.content, {}, " ".join(message.split()))


@contextmanager
def connected(address: str) -> Iterator["Client"]:
    """Connect to the scheduler at ``address`` (``tcp://HOST:8786``), or to the one that a scheduler file names.

    Raises:
        RequestError: the extra is not installed, or no scheduler answers.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise RequestError(
            "A cluster needs dask: run `pip install stemsplitter[cluster]` on all its machines."
        ) from error
    arguments = {"address": address} if "://" in address else {"scheduler_file": address}
    try:
        if "://" not in address:
            Path(address).read_bytes()  # dask waits for a file that does not exist
        client = Client(**arguments, timeout=CONNECT_S, name="stemsplitter")
    except (OSError, ValueError) as error:
        raise RequestError(
            f"No scheduler answers at {address}: start one with `dask scheduler`, or correct the address."
        ) from error
    with client:
        yield client


def run_task(task: SongTask, run: str) -> SongResult:
    """Run a task on a worker of dask; it stops when the event ``run`` of the cluster is set."""
    return separate_song(task, _StopOf(run))


class _StopOf:
    """Returns True once the event of a run is set; asks the scheduler every two seconds."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._asked = time.monotonic()

    def __call__(self) -> bool:
        if time.monotonic() - self._asked < _STOP_POLL_S:
            return False
        self._asked = time.monotonic()
        from distributed import Event

        try:
            return bool(Event(self._run).is_set())
        except Exception:  # the worker ends by itself when its scheduler is gone
            return False
