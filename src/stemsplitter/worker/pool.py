"""Separation in child processes, which may be killed, or run out of memory, and take nothing with them."""

import importlib.util
import logging
import threading
from collections.abc import Callable

from stemsplitter.errors import Stopped
from stemsplitter.worker.process import (
    WATCH_SECONDS,
    OutOfMemory,
    Separated,
    SeparationFailed,
    SeparationProcess,
    SeparationRequest,
)

__all__ = ["OutOfMemory", "Separated", "SeparationFailed", "SeparationPool", "SeparationRequest"]

_log = logging.getLogger(__name__)


class SeparationPool:
    """Separates up to ``concurrency`` songs at once, called from as many threads.

    On a CPU each has a process of its own. A GPU has one process for all, which loads a model once and computes what
    its songs ask for at the same time together; if it dies, all of them break off. Processes start when they are
    needed and stay, with their models loaded.

    Attributes:
        device: what songs are separated on, ``cpu`` or as torch names it; what was asked for until :meth:`open`.
        concurrency: how many at once.
    """

    def __init__(self, concurrency: int = 1, device: str = "auto", threads: int | None = None) -> None:
        """``device`` is ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``; ``threads`` bounds the CPU threads of each
        process, by default the cores there are, divided among the processes."""
        self.concurrency, self.device = concurrency, device
        self._threads = threads
        self._free = threading.Condition()
        self._songs: dict[SeparationProcess, int] = {}  # how many each process is at

    def open(self) -> None:
        """Find out what there is to run on.

        A GPU that is named but cannot be used is told in the log, and the CPU does its work, one song at a time: what
        a GPU has room for would be too much for it. It stays at that until the program starts again. ``auto`` takes
        the CPU without a word.

        Raises:
            SeparationFailed: no process can be started.
        """
        if self.device == "auto" and importlib.util.find_spec("torch") is None:
            self.device = "cpu"
        if self.device != "cpu":
            with self._free:
                self._find()

    def separate(self, request: SeparationRequest, watch: Callable[[float], bool]) -> Separated:
        """Separate a song as :meth:`SeparationProcess.separate` does; one that is too many waits for its turn.

        Raises: the same.
        """
        process = self._take(watch)
        try:
            return process.separate(request, watch)
        finally:
            with self._free:
                if process in self._songs:
                    self._songs[process] -= 1
                self._free.notify()

    def close(self) -> None:
        """End the processes, at once."""
        with self._free:
            for process in self._songs:
                process.close()

    def _take(self, watch: Callable[[float], bool]) -> SeparationProcess:
        while True:
            with self._free:
                if (process := self._find()) is not None:
                    self._songs[process] += 1
                    return process
                self._free.wait(WATCH_SECONDS)
            if watch(0.0):
                raise Stopped("The separation was stopped.")

    def _find(self) -> SeparationProcess | None:
        """A process that can take another song; None where all are busy."""
        for process in [process for process in self._songs if not process.alive]:
            process.close()
            del self._songs[process]
        for process, songs in reversed(self._songs.items()):
            if songs < (self.concurrency if _shares(self.device) else 1):
                return process
        if self._songs and (_shares(self.device) or len(self._songs) >= self.concurrency):
            return None
        return self._start()

    def _start(self) -> SeparationProcess:
        try:
            process = SeparationProcess(self.device, self._threads or 0, self.concurrency)
        except SeparationFailed as error:
            if self.device == "cpu":
                raise
            self._do_without_gpu(str(error))
            process = SeparationProcess("cpu", self._threads or 0)
        if process.problem:
            self._do_without_gpu(process.problem)
        self.device = process.device
        self._songs[process] = 0
        return process

    def _do_without_gpu(self, problem: str) -> None:
        self.concurrency = 1
        _log.warning("songs are separated on the CPU, far more slowly, one at a time: %s", problem)


def _shares(device: str) -> bool:
    """Whether songs on this device have one process together."""
    return device != "cpu"
