"""Separation of a split on a worker of dask: the source and the stems go through the store.

The worker that has claimed the split keeps its lease, writes its progress and ends it; it alone uses the database.
"""

import logging
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from stemsplitter.catalogue.store import ModelStore
from stemsplitter.cluster import RECONNECT_S, connect, stop_of_task
from stemsplitter.errors import AudioError, ModelError, RequestError, StemSplitterError, Stopped
from stemsplitter.files.names import shown
from stemsplitter.files.temporary import remove_abandoned, temporary_folder
from stemsplitter.splits.storing import StoredStems, store_stems
from stemsplitter.storage import Storage
from stemsplitter.worker.pool import Separated, SeparationFailed, SeparationPool, SeparationRequest
from stemsplitter.worker.process import PROGRESS_SECONDS
from stemsplitter.worker.retry import retry

if TYPE_CHECKING:
    from collections.abc import Callable

    from distributed import Client, Future

TOPIC: Final = "stemsplitter-progress"
_log = logging.getLogger(__name__)
_opening = threading.Lock()


@dataclass(frozen=True)
class RemoteSplit:
    """A split for a worker of dask.

    The ``source`` and the ``folder`` of the request are those of the worker. ``storage_url`` and ``addressing`` are as
    in :class:`~stemsplitter.storage.Storage`; each worker has its own credentials.
    """

    split_id: str
    filename: str
    source_key: str
    names: tuple[str, ...]
    request: SeparationRequest
    storage_url: str
    addressing: str
    device: str
    threads: int | None


def run_split(split: RemoteSplit) -> tuple[Separated, StoredStems]:
    """Separate a split and store its stems, on a worker of dask.

    Raises:
        Stopped: the result is not wanted anymore.
        StemSplitterError: as :meth:`~stemsplitter.worker.pool.SeparationPool.separate`, StorageError, or ModelError.
    """
    from distributed import get_worker

    worker, is_unwanted = get_worker(), stop_of_task()
    key = worker.get_current_task()

    def on_progress(fraction: float) -> bool:
        worker.log_event(TOPIC, {"key": key, "fraction": fraction})
        return is_unwanted()

    def put(key: str, path: Path, mime: str, name: str) -> int:
        def once() -> int:
            if is_unwanted():
                raise Stopped("The separation was stopped.")
            return storage.put_file(key, path, mime, name)

        return retry(once, threading.Event())

    storage = Storage(split.storage_url, b"", "", addressing=split.addressing)
    with _opening:  # once, even for two concurrent splits
        pool = _pool(split.device, split.threads, worker.state.nthreads)
        _provide(split.request.model)
    with storage.local_file(split.source_key) as source, temporary_folder() as folder:
        request = replace(split.request, source=str(source), folder=str(folder / "stems"))
        try:
            separated = pool.separate(request, on_progress)
        except AudioError as error:
            # the user knows the song by its own name
            raise AudioError(str(error).replace(shown(source), shown(split.filename))) from error
        return separated, store_stems(split.split_id, split.names, separated, put)


@cache
def _pool(device: str, threads: int | None, concurrency: int) -> SeparationPool:
    """Return the pool of this process. Songs of users are decoded in its child processes, which are closed off."""
    remove_abandoned()  # of workers that were killed on this machine
    pool = SeparationPool(concurrency, device, threads)
    pool.open()
    return pool


def _provide(model: str) -> None:
    """Download a model that this machine lacks, once for all its workers, if its license is unrestricted."""
    store = ModelStore()
    if store.is_ready(model):
        return
    if not store.entry(model).permissive:
        raise ModelError(f"Install the model {model} on all workers: `stemsplitter models pull {model}`.")
    store.pull(model)


class ClusterRuns:
    """Runs splits on the cluster whose scheduler is at ``address``, from several threads.

    A split whose worker dies runs again on another. While the scheduler does not answer, splits wait for it.

    Raises:
        RequestError: the extra is not installed, or no scheduler answers.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._lock = threading.Lock()
        self._fractions: dict[str, float] = {}
        self._client = self._connect()

    def run(
        self, split: RemoteSplit, on_progress: "Callable[[float], bool]"
    ) -> tuple[Separated, StoredStems]:
        """Separate a split and store its stems.

        ``on_progress`` is as for :meth:`~stemsplitter.worker.pool.SeparationPool.separate`.

        Raises:
            Stopped: ``on_progress`` returned true.
            SeparationFailed: its workers died, or met an unexpected error.
            StemSplitterError: as :func:`run_split`.
        """
        while True:
            if on_progress(0.0):
                raise Stopped("The separation was stopped.")
            try:
                future = self._submit(split)
            except RequestError as error:
                _log.warning("waiting for the cluster: %s", error)
                threading.Event().wait(PROGRESS_SECONDS)
                continue
            try:
                self._wait(future, on_progress)
                if (result := self._result(future)) is not None:
                    return result
            finally:
                self._fractions.pop(future.key, None)
                future.release()  # the cluster stops the split if it still runs
            _log.warning("split %s runs again: the cluster has lost it", split.split_id)
            threading.Event().wait(PROGRESS_SECONDS)

    def close(self) -> None:
        """Close the connection. The cluster stops the splits in progress."""
        self._client.close(timeout=PROGRESS_SECONDS)

    def _submit(self, split: RemoteSplit) -> "Future":
        with self._lock:
            if self._client.status in ("closing", "closed"):
                self._client = self._connect()
            # each time, as a scheduler that was restarted knows nothing of it
            self._client.subscribe_topic(TOPIC, self._on_event)
            resources = {"GPU": 1} if split.device.startswith("cuda") else None
            key = f"split-{split.split_id}-{uuid4().hex}"
            self._fractions[key] = 0.0
            return self._client.submit(run_split, split, key=key, pure=False, resources=resources)

    def _connect(self) -> "Client":
        return connect(self._address, RECONNECT_S)

    def _on_event(self, event: tuple[float, dict[str, Any]]) -> None:
        key = event[1]["key"]
        if key in self._fractions:  # a split of this worker that runs
            self._fractions[key] = event[1]["fraction"]

    def _wait(self, future: "Future", on_progress: "Callable[[float], bool]") -> None:
        from distributed import CancelledError, wait

        while not future.done():
            if on_progress(self._fractions[future.key]):
                raise Stopped("The separation was stopped.")
            with suppress(TimeoutError, CancelledError), future.client.as_current():
                wait(future, timeout=PROGRESS_SECONDS)

    def _result(self, future: "Future") -> tuple[Separated, StoredStems] | None:
        """Return the result; None if the scheduler, or a worker that was ending, has dropped the split."""
        from distributed import CancelledError

        try:
            result: tuple[Separated, StoredStems] = future.result()
            return result
        except (CancelledError, Stopped):
            return None
        except StemSplitterError:
            raise
        except Exception as error:
            raise SeparationFailed(f"The workers of the cluster failed: {error}") from error
