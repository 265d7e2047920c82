"""A run over a library through the queue of a server, at low priority: few songs are on the server at a time.

Each split has the digest of its task in its metadata. A run that starts again, on any machine, finds by it the splits
that an earlier run created, and continues with them.
"""

import hashlib
import json
import logging
import queue
import threading
import time
import uuid
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from stemsplitter.audio.opening import open_regular
from stemsplitter.errors import AudioError, OutputError, RequestError, StemSplitterError, Stopped
from stemsplitter.files.names import plain_name
from stemsplitter.files.temporary import remove_abandoned
from stemsplitter.library.locations import LocalSong, open_location
from stemsplitter.library.manifest import Manifest
from stemsplitter.library.server import (
    STOP_S,
    TASK,
    Json,
    Server,
    fields_of,
    level_of,
    message_of,
    request_of,
    sdk,
)
from stemsplitter.library.tasks import (
    MAX_RUNS,
    LibrarySettings,
    SongResult,
    SongTask,
    add_to,
    pause_before,
    song_tasks,
)
from stemsplitter.storage.errors import StorageError

AT_ONCE = 8
"""Songs on the server at a time, by default: more than an account may run at once, and far fewer than it may queue."""

MOST_AT_ONCE = 32
"""More do not help: a server receives and measures a few songs of an account at a time."""

MEASURED_S = 600.0
"""Time for the server to measure the stems of a finished split, which it does after it has separated others."""

_POLL_S = 2.0
_WAIT_S = 300.0
_LONGEST_METADATA = 512
_log = logging.getLogger(__name__)


def separate_library_on_server(
    source: str,
    output: str,
    settings: LibrarySettings,
    url: str,
    key: str,
    *,
    at_once: int = AT_ONCE,
    manifest: Manifest | None = None,
    skip_existing: bool = False,
) -> Generator[SongResult, None, None]:
    """Separate all songs of a folder or a prefix of a bucket on a server; yield results as they come.

    The splits have a low priority: they run when no other job waits. Songs are sent by this machine, and their stems
    stored by it; each split is deleted from the server then. Splits of an earlier run that was killed are continued.
    Closing the generator cancels those in progress.

    Args:
        source: a folder, or ``s3://BUCKET/PREFIX``.
        output: likewise; the stems of a song go to a folder of its name.
        settings: of all songs; a server takes those that
            :func:`~stemsplitter.library.server.refused_settings` does not return.
        url: base URL of the server.
        key: API key of the account that pays for the songs.
        at_once: number of songs that are sent, wait, run or are stored at a time.
        manifest: gets a line for each result.
        skip_existing: skip the songs that the manifest has, with their content and the settings.

    Raises:
        RequestError: ``source`` and ``output`` are the same, or the server refuses all songs: it cannot be reached, or
            the key, the credits or the settings are not sufficient.
        StorageError: the bucket cannot be listed.
        OutputError: stems cannot be stored. Their splits stay on the server, for a run that goes on.
    """
    remove_abandoned()  # of runs that were killed on this machine
    tasks = song_tasks(source, output, settings, manifest if skip_existing else None)
    open_location(output).check()  # before the account pays for stems that cannot be stored
    run = _Run(url, key, settings)
    try:
        for result, split_id in run.results(tasks, at_once):
            add_to(manifest, result)
            if split_id is not None:
                run.delete(split_id)
            yield result
    finally:
        run.stop()


class _Unfinished(StemSplitterError):
    """A split did not come to its end, for a reason that another one may not meet."""


class _NotStored(StemSplitterError):
    """The stems of a split cannot be stored."""


class _Run:
    """The songs of a run. Threads take tasks, one song each at a time, and hand over results."""

    def __init__(self, url: str, key: str, settings: LibrarySettings) -> None:
        self._request = request_of(settings)
        self._stopping = threading.Event()
        self._server = Server(url, key, self._stopping)
        self._client = self._server.client
        # those that have not failed and are not stored
        self._splits = self._server.call(self._server.splits_of_tasks)
        self._unfinished: set[str] = set()  # those that this run waits for
        self._has_failed = False
        self._tasks_lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def results(self, tasks: Iterator[SongTask], at_once: int) -> Iterator[tuple[SongResult, str | None]]:
        """Yield the results of tasks, with the split of each that has succeeded.

        After an error that every song would meet, those in progress still come to their end.
        """
        found: queue.Queue[tuple[SongResult, str | None] | BaseException | None] = queue.Queue(at_once)
        self._threads = [
            threading.Thread(target=self._work, args=(tasks, found), name=f"song {number}", daemon=True)
            for number in range(at_once)
        ]
        for thread in self._threads:
            thread.start()
        ended, errors = 0, list[BaseException]()
        while ended < at_once:
            result = found.get()
            if isinstance(result, tuple):
                yield result
                continue
            ended += 1
            if result is not None:
                errors.append(result)
        if errors:
            raise errors[0]

    def delete(self, split_id: str) -> None:
        """Delete a split whose stems are stored; it expires if that fails."""
        with suppress(sdk.StemSplitterError):
            self._client.splits.delete(split_id)

    def stop(self) -> None:
        """Stop the threads, and cancel the splits that have not ended; their credits are given back."""
        self._stopping.set()
        canceled = set(self._unfinished)
        self._server.cancel(canceled)
        deadline = time.monotonic() + STOP_S
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))
        self._server.cancel(self._unfinished - canceled)  # those that were being created

    def _work(self, tasks: Iterator[SongTask], found: "queue.Queue[Any]") -> None:
        """Put the results of tasks, until there are none, then None; an error that every song would meet ends it."""
        end: BaseException | None = None
        try:
            while not self._has_failed:
                with self._tasks_lock:
                    task = next(tasks, None)
                if task is None:
                    break
                self._put(found, self._result(task))
        except BaseException as error:
            self._has_failed, end = True, error
        with suppress(Stopped):
            self._put(found, end)

    def _put(self, found: "queue.Queue[Any]", item: object) -> None:
        while not self._stopping.is_set():
            with suppress(queue.Full):
                found.put(item, timeout=1)
                return
        raise Stopped("The run was stopped.")

    def _result(self, task: SongTask) -> tuple[SongResult, str | None]:
        """Return the result of a song, after as many runs as it needs."""
        run = 1
        while True:
            try:
                return self._separated(task)
            except (RequestError, Stopped):
                raise
            except Exception as error:  # of a machine or a store; the songs' own are in the result
                run += 1
                if run > MAX_RUNS and isinstance(error, _NotStored):
                    raise OutputError(
                        f"The stems of {task.song} cannot be stored: {error} Run this again with --skip-existing."
                    ) from error
                if run > MAX_RUNS:
                    message = f"It could not be separated in {MAX_RUNS} runs: {message_of(error)}"
                    return SongResult.failed(task.song, task.content, message), None
                _log.warning("%s runs again, for %s: %s", task.key, type(error).__name__, message_of(error))
                self._server.sleep(pause_before(run))

    def _separated(self, task: SongTask) -> tuple[SongResult, str | None]:
        content = task.content
        try:
            with open_location(task.source).reading(task.key) as song:
                content = song.content
                digest = _digest(task, song, self._request)
                # there is one already if an earlier run created it, or if its stems could not be stored
                split_id = self._splits.get(digest) or self._new_split(task, song, digest)
            split = self._ended(split_id, digest)
            result = SongResult(task.song, content, self._stored(task, split))
        except AudioError as error:
            return SongResult.failed(task.song, content, error), None
        self._splits.pop(digest, None)
        return result, split_id

    def _new_split(self, task: SongTask, song: LocalSong, digest: str) -> str:
        """Send a song and create its split.

        Raises:
            AudioError: the song cannot be read here, or the server does not accept it.
            RequestError: the server does not accept the settings.
        """
        open_regular(song.path).close()
        name = plain_name(Path(task.key).name, "song")

        def upload() -> Json:
            return self._client.upload_file(
                song.path, filename=name, on_progress=lambda *_: self._server.sleep(0)
            )

        try:
            uploaded = self._server.call(upload)
        except sdk.ValidationError as error:
            raise AudioError(error.message) from error
        metadata = {"song": _text(task.song), TASK: digest}
        body, once = {"input": uploaded["input"], **self._request, "metadata": metadata}, uuid.uuid4().hex
        try:
            created = self._server.call(lambda: self._client.splits.create(body, idempotency_key=once))
        except sdk.ValidationError as error:
            if (error.param or "").startswith("input"):
                raise AudioError(error.message) from error
            raise RequestError(f"The server does not take these settings: {error.message}") from error
        split_id: str = created["id"]
        self._splits[digest] = split_id
        self._unfinished.add(split_id)
        return split_id

    def _ended(self, split_id: str, digest: str) -> Json:
        """Wait for the end of a split, and return it with the levels of its stems.

        Raises:
            AudioError: the song cannot be separated there, or the split was canceled.
            _Unfinished: the server failed, or the split was deleted.
        """
        self._unfinished.add(split_id)
        try:
            split = self._waited(split_id)
        except sdk.NotFound as error:
            del self._splits[digest]
            raise _Unfinished(error.message) from error
        self._unfinished.discard(split_id)
        if split["status"] == "failed":
            del self._splits[digest]
            reason = split["error"]
            if reason["code"] == "SERVER_ERROR":
                raise _Unfinished(reason["message"])
            raise AudioError(reason["message"])
        deadline = time.monotonic() + MEASURED_S
        while "levels" not in split and time.monotonic() < deadline:
            self._server.sleep(_POLL_S)
            split = self._server.call(lambda: self._client.splits.get(split_id))
        return split

    def _waited(self, split_id: str) -> Json:
        splits = self._client.splits
        while True:
            try:
                return splits.wait(
                    split_id, timeout=_WAIT_S, interval=_POLL_S, on_update=lambda _: self._server.sleep(0)
                )
            except sdk.WaitTimeout:  # the queue may be long; or the server is not there anymore
                self._server.call(lambda: splits.get(split_id))

    def _stored(self, task: SongTask, split: Json) -> Json:
        """Download the stems of a split and store them in the output; return the fields of the result."""
        output = open_location(task.output)
        try:
            with output.storing(task.key) as folder:
                files = self._client.splits.download(split, folder.path)
                fields = fields_of(split, files)
        except (OutputError, StorageError, OSError) as error:
            raise _NotStored(str(error)) from error
        stems = {
            name: {
                "path": output.path(f"{task.key}/{path.name}"),
                **level_of(split, name),
                **folder.tag_of(path.name),
            }
            for name, path in files.items()
        }
        return {"files": [stem["path"] for stem in stems.values()], "stems": stems, **fields}


def _digest(task: SongTask, song: LocalSong, request: Json) -> str:
    """Return what identifies the song, its content, the request and the output."""
    told = json.dumps([task.song, song.content, task.output, request])
    return hashlib.sha256(told.encode()).hexdigest()


def _text(path: str) -> str:
    """Return the end of a path as valid UTF-8 for the metadata of a split."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")[-_LONGEST_METADATA:]
