"""A child process that separates songs, as its parent sees it. :mod:`stemsplitter.worker.child` is the other end."""

import contextlib
import itertools
import queue
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from stemsplitter import errors
from stemsplitter.child_processes import ChildDied, ChildProcess, Message
from stemsplitter.errors import StemSplitterError, Stopped

PROGRESS_SECONDS = 1.0
START_SECONDS = 120.0  # imports torch and initializes a GPU on a busy host
STOP_SECONDS = 15.0  # a segment of the largest model on one slow core takes less
STALL_SECONDS = 900.0  # the first load of a model, and each segment, take far less

Responses = queue.SimpleQueue[Message | None]  # None: the process died


class SeparationFailed(StemSplitterError):
    """The separation ended unexpectedly; a retry may succeed."""


class OutOfMemory(SeparationFailed):
    """The separation ran out of memory."""


@dataclass(frozen=True)
class SeparationRequest:
    """A separation of the file ``source`` into ``folder`` with a model of the catalogue."""

    model: str
    stems: tuple[str, ...]
    source: str
    folder: str
    format: str
    max_seconds: float
    instruments: list[str] | None = None
    max_sample_rate: int | None = None
    overlap: float | None = None
    raw_masters: bool = False


@dataclass(frozen=True)
class ToolRequest:
    """A job of a tool: ``analysis``, ``effect`` or ``speech``, with the parameters of its row.

    Files are written to ``folder`` in ``format``. ``source`` is None for speech; ``drums`` is the drums stem of the
    source, if there is one.
    """

    tool: str
    parameters: dict[str, Any]
    source: str | None
    drums: str | None
    folder: str
    format: str


@dataclass(frozen=True)
class ToolResult:
    """Result of a tool: the written files by name, the analysis, the processing time in ``seconds``, the length of the
    audio in ``audio_seconds`` (0 where it is that of the source), whether drums were transformed apart, and sentences
    about damage of the source."""

    outputs: dict[str, str]
    seconds: float
    analysis: dict[str, Any] | None = None
    audio_seconds: float = 0.0
    drums_apart: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Separated:
    """Result of a separation.

    ``stems`` maps names to files, ``masters`` names to the ``path`` and ``peak`` of their lossless files, which are the
    stems if these are lossless. ``peaks`` and ``overview`` are the files with the peaks of their waveforms, in many and
    in few points. ``seconds`` is the processing time and ``audio_seconds`` the duration of the song. ``vocals_from``
    has the name and license of another model that extracted the vocals, if any.
    """

    stems: dict[str, str]
    masters: dict[str, dict[str, Any]]
    peaks: str
    overview: str
    device: str
    seconds: float
    audio_seconds: float
    vocals_from: dict[str, str] | None = None


class SeparationProcess:
    """A child process that keeps its models loaded until it dies or is closed. Several threads may separate with it.

    Attributes:
        device: the device it uses, ``cpu`` or torch's name.
        problem: a sentence that says why this is not the given device; empty if it is.
    """

    def __init__(self, device: str = "cpu", threads: int = 0, processes: int = 1) -> None:
        """Start the process. ``threads`` limits its CPU threads; 0 divides the cores among ``processes``.

        Raises:
            SeparationFailed: it did not start.
        """
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        greeting: Responses = queue.SimpleQueue()
        self._pending = {0: greeting}
        self._is_dead = self._is_closed = False
        self._last_response = time.monotonic()
        self._child = ChildProcess(
            "stemsplitter.worker.child",
            device,
            str(threads),
            str(processes),
            environment={"STEMSPLITTER_OFFLINE": "1"},  # it has no network
        )
        threading.Thread(target=self._receive, daemon=True).start()
        self.device, self.problem = self._greeted(greeting)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._child.pid

    @property
    def is_alive(self) -> bool:
        """True if it accepts requests."""
        return self._child.is_alive

    def separate(self, request: SeparationRequest, on_progress: Callable[[float], bool]) -> Separated:
        """Separate a song.

        ``on_progress`` is called with the completed fraction, 0 to 1, after each segment and at least once a second. If
        it returns true, the separation stops after the current segment.

        Raises:
            Stopped: ``on_progress`` returned true.
            StemSplitterError: as :meth:`Separator.separate_to`.
            SeparationFailed: the process died, stalled, or met an unexpected error.
            OutOfMemory: the process ran out of memory.
        """
        return Separated(**self._ask(asdict(request), on_progress))

    def run_tool(self, request: ToolRequest, on_progress: Callable[[float], bool]) -> ToolResult:
        """Run a job of a tool, like :meth:`separate`. Raises: the same."""
        return ToolResult(**self._ask(asdict(request), on_progress))

    def _ask(self, request: Message, on_progress: Callable[[float], bool]) -> Message:
        """Return the result of a request."""
        number, responses = next(self._numbers), queue.SimpleQueue[Message | None]()
        self._send(number, request, responses)
        has_ended = False
        try:
            response = self._wait(responses, on_progress)
            has_ended = response is not None
        finally:
            if not has_ended and self.is_alive:
                self._stop(number, responses)
            with self._lock:
                del self._pending[number]
        if response is None:
            raise Stopped("The separation was stopped.")
        return _result(response)

    def close(self) -> None:
        """Kill the process."""
        if self.is_alive:
            self._is_closed = True
        self._child.close()

    def _greeted(self, greeting: Responses) -> tuple[str, str]:
        try:
            response = greeting.get(timeout=START_SECONDS)
        except queue.Empty:
            self.close()
            raise SeparationFailed("The separation process did not start.") from None
        if response is None:
            raise self._death()
        del self._pending[0]
        return response["device"], response["problem"]

    def _wait(self, responses: Responses, on_progress: Callable[[float], bool]) -> Message | None:
        """Return the final response to a request; None if ``on_progress`` stopped it."""
        fraction, received = 0.0, time.monotonic()
        while not on_progress(fraction):
            try:
                response = responses.get(timeout=PROGRESS_SECONDS)
            except queue.Empty:
                if time.monotonic() - received > STALL_SECONDS:
                    self.close()
                    raise SeparationFailed("The separation stalled.") from None
                continue
            received = time.monotonic()
            if response is None:
                raise self._death()
            if "progress" not in response:
                return response
            fraction = response["progress"]
        return None

    def _stop(self, number: int, responses: Responses) -> None:
        """Stop a request and keep the process, with its models, unless it does not respond."""
        deadline = time.monotonic() + STOP_SECONDS
        with contextlib.suppress(SeparationFailed):
            self._send(number, {"stop": True}, responses)
        while (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                response = responses.get(timeout=left)
                if response is None or "progress" not in response:
                    return
        # while it makes progress with other requests, it is kept for them; this one stops eventually
        if len(self._pending) == 1 or time.monotonic() - self._last_response > STOP_SECONDS:
            self.close()

    def _send(self, number: int, request: Message, responses: Responses) -> None:
        with self._lock:
            self._pending[number] = responses
            if self._is_dead:
                responses.put(None)
        try:
            self._child.send({"id": number, **request})
        except ChildDied as error:
            raise self._death(error) from error

    def _receive(self) -> None:
        with contextlib.suppress(ChildDied):
            while True:
                response = self._child.receive()
                with self._lock:
                    self._last_response = time.monotonic()
                    if (pending := self._pending.get(response["id"])) is not None:
                        pending.put(response)
        with self._lock:
            self._is_dead = True
            for pending in self._pending.values():
                pending.put(None)

    def _death(self, died: ChildDied | None = None) -> SeparationFailed:
        """Return the error of a request whose process died."""
        died = died or self._child.wait()
        self.close()
        if self._is_closed:
            return SeparationFailed("The separation process was stopped.")
        if died.code == -signal.SIGKILL:
            return OutOfMemory("The operating system killed the separation, probably because memory ran out.")
        return SeparationFailed(f"The separation process died ({died}).")


def _result(response: Message) -> Message:
    if "done" in response:
        done: Message = response["done"]
        return done
    kind, message = response["error"], response["message"]
    if kind == "MemoryError":
        raise OutOfMemory(message)
    raise getattr(errors, kind, SeparationFailed)(message)
