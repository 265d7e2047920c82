"""Probing of files: complete decoding in a separate process."""

import atexit
import math
import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stemsplitter import account_ids
from stemsplitter.child_processes import ChildDied, ChildProcess
from stemsplitter.files.names import shown
from stemsplitter.service_errors import Busy, ValidationFailed
from stemsplitter.settings import Settings

MEMORY_BYTES = 1 << 30
CPU_SECONDS = 25
WALL_SECONDS = 30.0
QUEUE_SECONDS = 15.0
PROCESSES = max(1, min(4, os.cpu_count() or 1))
# An account that has used a process for longer, less half of it after each HALF_LIFE_SECONDS, leaves one to others.
HEAVY_SECONDS = 10.0
HALF_LIFE_SECONDS = 120.0
_MAX_USES = 1000  # accounts whose use is known
_FILES_PER_PROCESS = 200  # then it is replaced, which bounds memory leaks of libraries


@dataclass(frozen=True)
class Probed:
    """Measurements of a decoded song. ``samples`` are per channel, ``channels`` are those of the file.

    ``tags`` holds title, artist and album if the file has them; ``warnings`` are sentences. ``cover`` is the base64 of
    a small JPEG, see :mod:`stemsplitter.audio.thumbnail`.
    """

    samples: int
    sample_rate: int
    channels: int
    tags: dict[str, str]
    warnings: list[str]
    cover: str | None = None

    @property
    def seconds(self) -> float:
        """Exact duration."""
        return self.samples / self.sample_rate

    @property
    def whole_seconds(self) -> int:
        """Duration rounded up, which is what a split costs."""
        return -(-self.samples // self.sample_rate)


def probe(path: str | os.PathLike[str], settings: Settings, name: str = "", account_id: str = "") -> Probed:
    """Measure the song at ``path``; messages call it ``name``.

    The work runs in a pool of processes with limits on memory and time; a failed process is replaced. An account uses
    one process at a time.

    Raises:
        ValidationFailed: the file cannot be decoded, is longer than ``settings.max_source_seconds``, or needs too much
            time or memory.
        Busy: no process became free within ``QUEUE_SECONDS``.
    """
    called = shown(name) if name else shown(path)
    request = {"path": str(Path(path).absolute()), "max_seconds": settings.max_source_seconds}
    try:
        with _pool.process(account_id) as process:
            response = process.ask(request, time.monotonic() + WALL_SECONDS)
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


def in_use() -> int:
    """Return the number of songs that are being measured."""
    return _pool.in_use()


class _Process:
    """A child process. Not thread-safe: the pool gives it to one thread at a time."""

    def __init__(self) -> None:
        self.child = ChildProcess(
            "stemsplitter.probing.child",
            str(MEMORY_BYTES),
            str(CPU_SECONDS),
            environment={"OPENBLAS_NUM_THREADS": "1"},  # each thread would reserve memory
            is_quiet=True,
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
    """Up to ``PROCESSES`` child processes, started on demand and reused.

    The next request is that of the account that has used the processes least, then the oldest. Those of an account that
    has a process wait until it is free, and accounts that have used much get all processes but one: files that take
    long, of any number of accounts, delay the others little.
    """

    def __init__(self) -> None:
        self._idle: list[_Process] = []
        self._running: dict[str, bool] = {}  # accounts, and whether they have used much
        self._waiting: list[str] = []  # accounts, in the order of their requests
        self._uses: dict[str, tuple[float, float]] = {}  # seconds of accounts, and when they were added up
        self._changed = threading.Condition()

    @contextmanager
    def process(self, account_id: str) -> Iterator[_Process]:
        """Provide a process for one file of an account. Raises Busy if none is free within ``QUEUE_SECONDS``."""
        account = account_ids.owner(account_id) or secrets.token_hex(
            8
        )  # requests without an account do not limit each other
        process = self._acquire(account)
        began, kept = time.monotonic(), None
        try:
            if process is not None and not process.is_reusable:
                process.child.close()
                process = None
            process = process or _Process()
            yield process
            kept = process
        finally:
            if kept is None and process is not None:
                process.child.close()
            with self._changed:
                del self._running[account]
                self._add_use(account, time.monotonic() - began)
                if kept is not None:
                    self._idle.append(kept)
                self._changed.notify_all()

    def _acquire(self, account: str) -> _Process | None:
        """Wait for the account's turn; return an idle process, or None if the caller must start one."""
        deadline = time.monotonic() + QUEUE_SECONDS
        with self._changed:
            self._waiting.append(account)
            try:
                while len(self._running) >= PROCESSES or self._next() != account:
                    if not self._changed.wait(max(deadline - time.monotonic(), 0)) and (
                        time.monotonic() >= deadline
                    ):
                        raise Busy(
                            "The server is measuring other songs: send the request again later.", "measuring"
                        )
                self._running[account] = self._use(account) > HEAVY_SECONDS
                return self._idle.pop() if self._idle else None
            finally:
                self._waiting.remove(account)
                self._changed.notify_all()

    def _next(self) -> str | None:
        """Return the account that is served next."""
        waiting = [account for account in self._waiting if account not in self._running]
        if sum(self._running.values()) >= max(PROCESSES - 1, 1):
            waiting = [account for account in waiting if self._use(account) <= HEAVY_SECONDS]
        return min(waiting, key=self._rank, default=None)

    def _rank(self, account: str) -> float:
        """Return the logarithm of the use at a fixed time: waiting threads must agree, whenever they compare."""
        seconds, at = self._uses.get(account, (0.0, 0.0))
        return math.log2(seconds) + at / HALF_LIFE_SECONDS if seconds else -math.inf

    def _use(self, account: str) -> float:
        seconds, at = self._uses.get(account, (0.0, 0.0))
        return seconds and seconds * 0.5 ** ((time.monotonic() - at) / HALF_LIFE_SECONDS)

    def _add_use(self, account: str, seconds: float) -> None:
        use = self._use(account) + seconds
        self._uses.pop(account, None)  # moves it to the end
        self._uses[account] = use, time.monotonic()
        if len(self._uses) > _MAX_USES:
            del self._uses[next(iter(self._uses))]

    def in_use(self) -> int:
        with self._changed:
            return len(self._running)

    def start(self) -> None:
        with self._changed:
            if not self._idle and not self._running:
                self._idle.append(_Process())

    def close(self) -> None:
        """End the idle processes; the others exit when their input closes."""
        with self._changed:
            while self._idle:
                self._idle.pop().child.close()


_pool = _Pool()
atexit.register(_pool.close)
