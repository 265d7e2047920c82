"""A child process that separates, seen from its parent: see :mod:`stemsplitter.worker.child`."""

import contextlib
import itertools
import json
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from stemsplitter import errors
from stemsplitter.errors import StemSplitterError, Stopped

WATCH_SECONDS = 1.0
START_SECONDS = 120.0  # importing torch and waking a GPU, on a machine that is busy
STOP_SECONDS = 15.0  # a segment of the largest model on one slow core takes less
STALL_SECONDS = 900.0  # loading a model for the first time, and each segment, take far less

Answer = dict[str, Any]
Answers = queue.SimpleQueue[Answer | None]


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
    """A child process, with its models loaded, until it dies or is closed. Several threads may separate with it.

    Attributes:
        device: what it separates on, ``cpu`` or as torch names it.
        problem: why that is not the device that was named, as a sentence; empty where it is.
    """

    def __init__(self, device: str = "cpu", threads: int = 0, processes: int = 1) -> None:
        """``threads`` bounds its CPU threads; 0 is the cores there are, divided among ``processes``.

        Raises:
            SeparationFailed: it did not start.
        """
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        greeting: Answers = queue.SimpleQueue()
        self._waiting = {0: greeting}
        self._ended = self._closed = False
        self._heard = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "stemsplitter.worker.child", device, str(threads), str(processes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        threading.Thread(target=self._read, daemon=True).start()
        self.device, self.problem = self._greeted(greeting)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

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
        number, answers = next(self._numbers), queue.SimpleQueue[Answer | None]()
        self._send(number, asdict(request), answers)
        over = False
        try:
            answer = self._follow(answers, watch)
            over = answer is not None
        finally:
            if not over and self.alive:
                self._stop(number, answers)
            with self._lock:
                del self._waiting[number]
        if answer is None:
            raise Stopped("The separation was stopped.")
        return _result(answer)

    def close(self) -> None:
        """End the process, at once."""
        if self.alive:
            self._closed = True
            self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        with self._lock, contextlib.suppress(OSError):  # it cannot be flushed any more
            self._process.stdin.close()

    def _greeted(self, greeting: Answers) -> tuple[str, str]:
        try:
            answer = greeting.get(timeout=START_SECONDS)
        except queue.Empty:
            self.close()
            raise SeparationFailed("The separation process did not start.") from None
        if answer is None:
            raise self._death()
        del self._waiting[0]
        return answer["device"], answer["problem"]

    def _follow(self, answers: Answers, watch: Callable[[float], bool]) -> Answer | None:
        """The answer that ends a request; None where ``watch`` ended it."""
        fraction, answered = 0.0, time.monotonic()
        while not watch(fraction):
            try:
                answer = answers.get(timeout=WATCH_SECONDS)
            except queue.Empty:
                if time.monotonic() - answered > STALL_SECONDS:
                    self.close()
                    raise SeparationFailed("The separation came to a standstill.") from None
                continue
            answered = time.monotonic()
            if answer is None:
                raise self._death()
            if "progress" not in answer:
                return answer
            fraction = answer["progress"]
        return None

    def _stop(self, number: int, answers: Answers) -> None:
        """Stop what runs and keep the process, with its models, unless it does not listen."""
        deadline = time.monotonic() + STOP_SECONDS
        with contextlib.suppress(SeparationFailed):
            self._send(number, {"stop": True}, answers)
        while (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                answer = answers.get(timeout=left)
                if answer is None or "progress" not in answer:
                    return
        # as long as it goes on with other songs, it is kept for them: this one ends when it comes to it
        if len(self._waiting) == 1 or time.monotonic() - self._heard > STOP_SECONDS:
            self.close()

    def _send(self, number: int, request: dict[str, Any], answers: Answers) -> None:
        assert self._process.stdin is not None
        try:
            with self._lock:
                self._waiting[number] = answers
                if self._ended:
                    answers.put(None)
                self._process.stdin.write(json.dumps({"id": number, **request}) + "\n")
                self._process.stdin.flush()
        except (BrokenPipeError, ValueError) as error:  # its end of the pipe is closed, or ours
            raise self._death() from error

    def _read(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(ValueError), self._process.stdout as lines:  # killed in the midst of a line
            for line in lines:
                answer = json.loads(line)
                with self._lock:
                    self._heard = time.monotonic()
                    if (waiting := self._waiting.get(answer["id"])) is not None:
                        waiting.put(answer)
        with self._lock:
            self._ended = True
            for waiting in self._waiting.values():
                waiting.put(None)

    def _death(self) -> SeparationFailed:
        code = self._process.wait()
        self.close()
        if self._closed:
            return SeparationFailed("The separation process was ended, for another song or for good.")
        if code == -signal.SIGKILL:
            return OutOfMemory(
                "The separation was killed by the system, which mostly means that memory ran out."
            )
        return SeparationFailed(f"The separation process died ({_cause(code)}).")


def _result(answer: Answer) -> Separated:
    if "done" in answer:
        return Separated(**answer["done"])
    kind, message = answer["error"], answer["message"]
    if kind == "MemoryError":
        raise OutOfMemory(message)
    raise getattr(errors, kind, SeparationFailed)(message)


def _cause(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
