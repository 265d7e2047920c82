"""Probe files: decode them completely in a separate process."""

import atexit
import contextlib
import os
import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stemsplitter.child_processes import ChildDied, ChildProcess
from stemsplitter.files.names import shown
from stemsplitter.service_errors import ValidationFailed
from stemsplitter.settings import Settings

MEMORY_BYTES = 1 << 30
CPU_SECONDS = 25
WALL_SECONDS = 30.0
PROCESSES = max(1, min(4, os.cpu_count() or 1))
_FILES_PER_PROCESS = 200  # then it is replaced, which bounds memory leaks of libraries
_ENVIRONMENT = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ")


@dataclass(frozen=True)
class Probed:
    """Measurements of a decoded song. ``samples`` are per channel, ``channels`` are those of the file.

    ``tags`` holds title, artist and album if the file has them; ``warnings`` are sentences.
    """

    samples: int
    sample_rate: int
    channels: int
    tags: dict[str, str]
    warnings: list[str]

    @property
    def seconds(self) -> float:
        """Exact duration."""
        return self.samples / self.sample_rate

    @property
    def whole_seconds(self) -> int:
        """Duration rounded up, which is what a split costs."""
        return -(-self.samples // self.sample_rate)


def probe(path: str | os.PathLike[str], settings: Settings, name: str = "") -> Probed:
    """Measure the song at ``path``; messages call it ``name``.

    A pool of processes does it, each with limits on memory and time; one that fails is replaced.

    Raises:
        ValidationFailed: the file cannot be decoded, is longer than ``settings.max_source_seconds``, or needs too much
            time or memory.
    """
    called = shown(name) if name else shown(path)
    request = {"path": str(Path(path).absolute()), "max_seconds": settings.max_source_seconds}
    deadline = time.monotonic() + WALL_SECONDS
    try:
        with _pool.process(deadline) as process:
            response = process.ask(request, deadline)
    except TimeoutError as error:
        raise ValidationFailed(
            f"{called} takes too long to decode: convert it to wav, flac or mp3 first."
        ) from error
    except ChildDied as error:
        raise ValidationFailed(
            f"{called} cannot be decoded: it is damaged, or needs too much memory; export it again."
        ) from error
    if "error" in response:
        raise ValidationFailed(response["error"].replace(shown(path), called))
    return Probed(**response)


def start() -> None:
    """Start a process in advance, so that the first file does not wait for it. Returns immediately."""
    _pool.start()


class _Process:
    """A child process. Not thread-safe: the pool lends it to one thread at a time."""

    def __init__(self) -> None:
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        self.child = ChildProcess(
            "stemsplitter.analysis.child",
            str(MEMORY_BYTES),
            str(CPU_SECONDS),
            environment={**environment, "OPENBLAS_NUM_THREADS": "1"},  # each thread would reserve memory
            sandboxed=True,
        )
        self._requests = 0

    @property
    def is_reusable(self) -> bool:
        """True if it can probe another file."""
        return self._requests < _FILES_PER_PROCESS and self.child.is_alive

    def ask(self, request: dict[str, Any], deadline: float) -> dict[str, Any]:
        """Send a request and return the response. Raises TimeoutError or ChildDied."""
        self._requests += 1
        self.child.send(request)
        try:
            return self.child.receive(deadline - time.monotonic())
        except ChildDied as error:
            if error.code == os.EX_TEMPFAIL:  # out of CPU time
                raise TimeoutError from error
            raise


class _Pool:
    """Up to ``PROCESSES`` child processes, started on demand and reused."""

    def __init__(self) -> None:
        self._free: queue.LifoQueue[_Process | None] = queue.LifoQueue()
        for _ in range(PROCESSES):
            self._free.put(None)  # not started yet

    @contextmanager
    def process(self, deadline: float) -> Iterator[_Process]:
        """Lend a process for one file. Raises TimeoutError if all are busy until ``deadline``."""
        try:
            process = self._free.get(timeout=max(deadline - time.monotonic(), 0))
        except queue.Empty as error:
            raise TimeoutError from error
        if process is not None and not process.is_reusable:
            process.child.close()
            process = None
        kept = None
        try:
            process = process or _Process()
            yield process
            kept = process
        finally:
            if kept is None and process is not None:
                process.child.close()
            self._free.put(kept)

    def start(self) -> None:
        with contextlib.suppress(queue.Empty):
            self._free.put(self._free.get_nowait() or _Process())

    def close(self) -> None:
        """End the idle processes; the others exit when their input closes."""
        with contextlib.suppress(queue.Empty):
            while True:
                if process := self._free.get_nowait():
                    process.child.close()


_pool = _Pool()
atexit.register(_pool.close)
