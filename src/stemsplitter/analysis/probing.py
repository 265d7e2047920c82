"""Measuring a file by decoding all of it, in a process of its own."""

import atexit
import contextlib
import json
import os
import queue
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stemsplitter.files.names import shown
from stemsplitter.service_errors import ValidationFailed
from stemsplitter.settings import Settings

MEMORY_BYTES = 1 << 30
CPU_SECONDS = 25
WALL_SECONDS = 30.0
PROCESSES = max(1, min(4, os.cpu_count() or 1))
_FILES_OF_ONE_PROCESS = 200  # then another takes over, so that what leaks in a library stays small
_ENVIRONMENT = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ")


@dataclass(frozen=True)
class Probed:
    """What a song is, counted by decoding it. ``samples`` are per channel, ``channels`` those of the file.

    ``tags`` has those of title, artist and album that the file has; ``warnings`` are sentences.
    """

    samples: int
    sample_rate: int
    channels: int
    tags: dict[str, str]
    warnings: list[str]

    @property
    def seconds(self) -> float:
        """The exact length."""
        return self.samples / self.sample_rate

    @property
    def whole_seconds(self) -> int:
        """The length rounded up, which is what a split costs."""
        return -(-self.samples // self.sample_rate)


def probe(path: str | os.PathLike[str], settings: Settings, name: str = "") -> Probed:
    """Measure the song at ``path``, which messages call ``name``.

    A few processes are kept for it, each with limits on memory and time; one that fails is replaced.

    Raises:
        ValidationFailed: the file is no song that can be decoded, is longer than ``settings.max_source_seconds``, or
            takes too much time or memory.
    """
    called = shown(name) if name else shown(path)
    request = {"path": str(Path(path).absolute()), "max_seconds": settings.max_source_seconds}
    deadline = time.monotonic() + WALL_SECONDS
    try:
        with _pool.process(deadline) as process:
            answer = process.ask(request, deadline)
    except TimeoutError as error:
        raise ValidationFailed(
            f"{called} takes too long to decode: convert it to wav, flac or mp3 first."
        ) from error
    except EOFError as error:
        raise ValidationFailed(
            f"{called} cannot be decoded: it is damaged, or needs too much memory; export it again."
        ) from error
    if "error" in answer:
        raise ValidationFailed(answer["error"].replace(shown(path), called))
    return Probed(**answer)


def start() -> None:
    """Start a process ahead, so that the first file need not wait for it. Returns at once."""
    _pool.start()


class _Process:
    """One child. Not thread-safe: the pool lends it to one thread at a time."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "stemsplitter.analysis.child", str(MEMORY_BYTES), str(CPU_SECONDS)]
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        self._child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={**environment, "OPENBLAS_NUM_THREADS": "1"},  # each thread would reserve memory
            bufsize=0,
        )
        assert self._child.stdin is not None and self._child.stdout is not None
        self._requests, self._answers = self._child.stdin, self._child.stdout
        self._asked = 0

    @property
    def fresh(self) -> bool:
        """Whether it can take another file."""
        return self._asked < _FILES_OF_ONE_PROCESS and self._child.poll() is None

    def ask(self, request: dict[str, Any], deadline: float) -> dict[str, Any]:
        """The answer; TimeoutError when there is none by ``deadline``, EOFError when the process died."""
        self._asked += 1
        try:
            self._requests.write(json.dumps(request).encode() + b"\n")
        except BrokenPipeError as error:
            raise EOFError from error
        line = b""
        with selectors.DefaultSelector() as readable:
            readable.register(self._answers, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not readable.select(max(deadline - time.monotonic(), 0)):
                    raise TimeoutError
                part = self._answers.read(1 << 16)
                if not part:
                    raise TimeoutError if self._child.wait() == os.EX_TEMPFAIL else EOFError
                line += part
        answer = json.loads(line)
        assert isinstance(answer, dict)
        return answer

    def end(self) -> None:
        """End it, whatever it does."""
        self._child.kill()
        with contextlib.suppress(OSError):
            self._requests.close()
        self._answers.close()
        self._child.wait()


class _Pool:
    """Up to ``PROCESSES`` children, started when they are needed and kept."""

    def __init__(self) -> None:
        self._free: queue.LifoQueue[_Process | None] = queue.LifoQueue()
        for _ in range(PROCESSES):
            self._free.put(None)  # one that is still to be started

    @contextmanager
    def process(self, deadline: float) -> Iterator[_Process]:
        """A child for one file. TimeoutError where all are busy until ``deadline``."""
        try:
            process = self._free.get(timeout=max(deadline - time.monotonic(), 0))
        except queue.Empty as error:
            raise TimeoutError from error
        if process is not None and not process.fresh:
            process.end()
            process = None
        kept = None
        try:
            process = process or _Process()
            yield process
            kept = process
        finally:
            if kept is None and process is not None:
                process.end()
            self._free.put(kept)

    def start(self) -> None:
        with contextlib.suppress(queue.Empty):
            self._free.put(self._free.get_nowait() or _Process())

    def close(self) -> None:
        """End the children that are not at work; those that are end with their input."""
        with contextlib.suppress(queue.Empty):
            while True:
                if process := self._free.get_nowait():
                    process.end()


_pool = _Pool()
atexit.register(_pool.close)
