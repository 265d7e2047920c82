"""Separation in child processes: one that crashes or runs out of memory does not affect the worker."""

import importlib.util
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stemsplitter.errors import Stopped
from stemsplitter.worker.process import (
    PROGRESS_SECONDS,
    OutOfMemory,
    Separated,
    SeparationFailed,
    SeparationProcess,
    SeparationRequest,
    ToolRequest,
    ToolResult,
)

__all__ = ["OutOfMemory", "Separated", "SeparationFailed", "SeparationPool", "SeparationRequest"]

_log = logging.getLogger(__name__)


class SeparationPool:
    """Separates up to ``concurrency`` songs at once, called from as many threads.

    On a CPU each song has its own process. On a GPU all songs share one process, which loads a model once and batches
    their segments; if it dies, all of them fail. Processes start on demand and keep their models loaded.

    Attributes:
        device: the device, ``cpu`` or torch's name; the requested one before :meth:`open`.
        concurrency: the number of songs at once.
    """

    def __init__(self, concurrency: int = 1, device: str = "auto", threads: int | None = None) -> None:
        """``device`` is ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``; ``threads`` limits the CPU threads of each
        process, by default the cores divided by the number of processes."""
        self.concurrency, self.device = concurrency, device
        self._threads = threads
        self._changed = threading.Condition()
        self._songs: dict[SeparationProcess, int] = {}  # number of songs of each process

    def open(self) -> None:
        """Detect the device.

        If a named GPU is unusable, log a warning and use the CPU with a concurrency of 1 until the program restarts:
        the concurrency of a GPU would overload it. ``auto`` falls back to the CPU without a warning.

        Raises:
            SeparationFailed: no process can start.
        """
        if self.device == "auto" and importlib.util.find_spec("torch") is None:
            self.device = "cpu"
        if self.device != "cpu":
            with self._changed:
                self._find()

    def separate(self, request: SeparationRequest, on_progress: Callable[[float], bool]) -> Separated:
        """Separate a song like :meth:`SeparationProcess.separate`; wait while all processes are busy.

        Raises: the same.
        """
        with self._acquired(on_progress) as process:
            return process.separate(request, on_progress)

    def run_tool(self, request: ToolRequest, on_progress: Callable[[float], bool]) -> ToolResult:
        """Run a job of a tool, like :meth:`separate`."""
        with self._acquired(on_progress) as process:
            return process.run_tool(request, on_progress)

    def close(self) -> None:
        """Kill the processes."""
        with self._changed:
            for process in self._songs:
                process.close()

    @contextmanager
    def _acquired(self, on_progress: Callable[[float], bool]) -> Iterator[SeparationProcess]:
        process = self._acquire(on_progress)
        try:
            yield process
        finally:
            with self._changed:
                if process in self._songs:
                    self._songs[process] -= 1
                self._changed.notify()

    def _acquire(self, on_progress: Callable[[float], bool]) -> SeparationProcess:
        while True:
            with self._changed:
                if (process := self._find()) is not None:
                    self._songs[process] += 1
                    return process
                self._changed.wait(PROGRESS_SECONDS)
            if on_progress(0.0):
                raise Stopped("The separation was stopped.")

    def _find(self) -> SeparationProcess | None:
        """Return a process that has room for another song; None if all are busy."""
        for process in [process for process in self._songs if not process.is_alive]:
            process.close()
            del self._songs[process]
        for process, songs in reversed(self._songs.items()):
            if songs < (self.concurrency if _is_shared(self.device) else 1):
                return process
        if self._songs and (_is_shared(self.device) or len(self._songs) >= self.concurrency):
            return None
        return self._start()

    def _start(self) -> SeparationProcess:
        try:
            process = SeparationProcess(self.device, self._threads or 0, self.concurrency)
        except SeparationFailed as error:
            if self.device == "cpu":
                raise
            self._fall_back_to_cpu(str(error))
            process = SeparationProcess("cpu", self._threads or 0)
        if process.problem:
            self._fall_back_to_cpu(process.problem)
        self.device = process.device
        self._songs[process] = 0
        return process

    def _fall_back_to_cpu(self, problem: str) -> None:
        self.concurrency = 1
        _log.warning("falling back to the CPU, one song at a time and much slower: %s", problem)


def _is_shared(device: str) -> bool:
    """Return true if all songs on this device share one process."""
    return device != "cpu"
