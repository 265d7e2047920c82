"""Separation in a child process, which may be killed, or run out of memory, and takes nothing with it."""

import contextlib
import json
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from stemsplitter import errors
from stemsplitter.errors import StemSplitterError, Stopped

WATCH_SECONDS = 1.0
STOP_SECONDS = 15.0  # a segment of the largest model on one slow core takes less
STALL_SECONDS = 900.0  # loading a model for the first time, and each segment, take far less


class SeparationFailed(StemSplitterError):
    """The separation broke off, which may not happen again."""


class OutOfMemory(SeparationFailed):
    """The separation needs more memory than there is."""


@dataclass(frozen=True)
class SeparationRequest:
    """What to separate: the file ``source`` into ``folder``, by a model of the catalogue."""

    model: str
    stems: tuple[str, ...]
    source: str
    folder: str
    format: str
    max_seconds: float
    device: str
    threads: int | None


@dataclass(frozen=True)
class Separated:
    """What came of it: ``stems`` maps names to files, ``peaks`` is the file that their waveforms are drawn from;
    ``seconds`` is the time it took."""

    stems: dict[str, str]
    peaks: str
    device: str
    seconds: float
    audio_seconds: float
    warnings: list[str]


class SeparationProcess:
    """A child process that separates one song at a time and stays, with its models loaded. Not thread-safe."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()

    @property
    def pid(self) -> int | None:
        """The child's process id, while there is one."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def separate(self, request: SeparationRequest, watch: Callable[[float], bool]) -> Separated:
        """Separate a song.

        ``watch`` is given the fraction that is done, 0 to 1, after each segment and at least once a second; where it
        returns true, the separation stops, within a segment.

        Raises:
            Stopped: ``watch`` said so.
            StemSplitterError: whatever :meth:`Separator.separate_to` raises.
            SeparationFailed: the process died, was killed, hung, or met a fault of the program.
            OutOfMemory: it died for want of memory.
        """
        self._send(asdict(request))
        fraction, answered = 0.0, time.monotonic()
        while not watch(fraction):
            try:
                answer = self._answers.get(timeout=WATCH_SECONDS)
            except queue.Empty:
                if time.monotonic() - answered > STALL_SECONDS:
                    self.close()
                    raise SeparationFailed("The separation came to a standstill.") from None
                continue
            answered = time.monotonic()
            if answer is None:
                raise self._death()
            if "progress" not in answer:
                return _result(answer)
            fraction = answer["progress"]
        self._stop()
        raise Stopped("The separation was stopped.")

    def close(self) -> None:
        """End the process, at once."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        assert process.stdin is not None
        with contextlib.suppress(OSError):  # it cannot be flushed any more
            process.stdin.close()

    def _send(self, request: dict[str, Any]) -> None:
        if self.pid is None:
            self._start()
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise self._death() from error

    def _start(self) -> None:
        self.close()
        # a queue of its own for each process: what the last one said late is not this one's
        self._answers = queue.SimpleQueue()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "stemsplitter.jobs.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        threading.Thread(target=_read, args=(self._process, self._answers), daemon=True).start()

    def _stop(self) -> None:
        """Stop what runs and keep the process, with its models, unless it does not listen."""
        deadline = time.monotonic() + STOP_SECONDS
        with contextlib.suppress(SeparationFailed):
            self._send({"stop": True})
            while (left := deadline - time.monotonic()) > 0:
                with contextlib.suppress(queue.Empty):
                    answer = self._answers.get(timeout=left)
                    if answer is None or "progress" not in answer:
                        return
        self.close()

    def _death(self) -> SeparationFailed:
        assert self._process is not None
        code = self._process.wait()
        self.close()
        if code == -signal.SIGKILL:
            return OutOfMemory(
                "The separation was killed by the system, which mostly means that memory ran out."
            )
        return SeparationFailed(f"The separation process died ({_cause(code)}).")


class SeparationPool:
    """Separates up to ``concurrency`` songs at once, called from as many threads; each has a process of its own.

    Processes start when they are needed and stay, with their models loaded.
    """

    def __init__(self, concurrency: int = 1, device: str = "auto") -> None:
        self.concurrency, self.device = concurrency, device
        self._lock = threading.Lock()
        self._idle: list[SeparationProcess] = []
        self._all: list[SeparationProcess] = []

    def open(self) -> None:
        """Find out what there is to run on: ``device`` and ``concurrency`` are then what is really so."""

    def separate(self, request: SeparationRequest, watch: Callable[[float], bool]) -> Separated:
        """Separate a song, as :meth:`SeparationProcess.separate` does, on the pool's device."""
        process = self._take()
        try:
            return process.separate(replace(request, device=self.device), watch)
        finally:
            with self._lock:
                self._idle.append(process)

    def close(self) -> None:
        """End the processes, at once."""
        for process in self._all:
            process.close()

    def _take(self) -> SeparationProcess:
        with self._lock:
            if self._idle:
                return self._idle.pop()  # the last one used: its models are the ones that are asked for
            process = SeparationProcess()
            self._all.append(process)
            return process


def _read(process: "subprocess.Popen[str]", answers: "queue.SimpleQueue[dict[str, Any] | None]") -> None:
    assert process.stdout is not None
    with contextlib.suppress(ValueError), process.stdout as lines:  # killed in the midst of a line
        for line in lines:
            answers.put(json.loads(line))
    answers.put(None)


def _result(answer: dict[str, Any]) -> Separated:
    if "done" in answer:
        return Separated(**answer["done"])
    kind, message = answer["error"], answer["message"]
    if kind == "MemoryError":
        raise OutOfMemory(message)
    raise getattr(errors, kind, SeparationFailed)(message)


def _cause(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
