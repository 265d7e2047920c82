"""Child processes that exchange lines of JSON with their parent over pipes.

:class:`ChildProcess` is the parent's end, :class:`Parent` the child's. Every message is one JSON object in one line.
"""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from stemsplitter import sandbox

Message = dict[str, Any]

_CLOSE_SECONDS = 5.0


class ChildDied(Exception):
    """The child process has exited.

    Attributes:
        code: exit code; the negative number of the signal that killed it.
    """

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(signal.Signals(-code).name if code < 0 else f"exit code {code}")


class ChildProcess:
    """A Python module that runs as a child process.

    Any thread may send; one thread at a time receives. Always :meth:`close` it.

    Args:
        module: run as ``python -m module`` with ``arguments``.
        environment: variables beside those of :func:`sandbox.environment`.
        is_quiet: discard standard error.
    """

    def __init__(
        self,
        module: str,
        *arguments: str,
        environment: Mapping[str, str] = MappingProxyType({}),
        is_quiet: bool = False,
    ) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if is_quiet else None,
            cwd="/",
            env={**sandbox.environment(), **environment},
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        self._sending, self._receiving = threading.Lock(), threading.Lock()
        self._received = b""

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """True until the process has exited."""
        return self._process.poll() is None

    def wait(self) -> ChildDied:
        """Wait until the process exits, and return its death."""
        return ChildDied(self._process.wait())

    def send(self, message: Message) -> None:
        """Write a message. Raises ChildDied."""
        try:
            with self._sending:
                self._input.write(json.dumps(message).encode() + b"\n")
                self._input.flush()
        except (BrokenPipeError, ValueError) as error:  # the pipe is closed at its end, or at ours
            raise self.wait() from error

    def receive(self, timeout: float | None = None) -> Message:
        """Wait for the next message, at most ``timeout`` seconds.

        Raises:
            TimeoutError: no whole message arrived in time.
            ChildDied: the process exited and everything it sent was received.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._receiving:
            while b"\n" not in self._received:
                if self._output.closed:
                    raise self.wait()
                if deadline is not None and not self._is_readable(deadline - time.monotonic()):
                    raise TimeoutError
                part = os.read(self._output.fileno(), 1 << 16)
                if not part:
                    raise self.wait()
                self._received += part
            line, _, self._received = self._received.partition(b"\n")
        message = json.loads(line)
        assert isinstance(message, dict)
        return message

    def close(self) -> None:
        """Kill the process if it is alive, and close the pipes."""
        self._process.kill()
        self._process.wait()
        with self._sending, contextlib.suppress(OSError):  # a message that was not flushed
            self._input.close()
        if self._receiving.acquire(
            timeout=_CLOSE_SECONDS
        ):  # a thread that receives reads the end of the pipe
            self._output.close()
            self._receiving.release()

    def _is_readable(self, timeout: float) -> bool:
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            return bool(selector.select(max(timeout, 0)))


class Parent:
    """The parent of this process: requests come from standard input, responses go to standard output.

    From then on ``print`` and libraries write to standard error, so that nothing mixes with the responses.
    """

    def __init__(self) -> None:
        self._responses = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
        self._sending = threading.Lock()
        os.dup2(2, 1)

    def requests(self) -> Iterator[Message]:
        """Yield requests until the parent closes the pipe or exits."""
        for line in sys.stdin:
            yield json.loads(line)

    def send(self, message: Message) -> None:
        """Write a message. Exits if the parent is gone. Thread-safe."""
        try:
            with self._sending:
                self._responses.write(json.dumps(message) + "\n")
        except BrokenPipeError:
            os._exit(0)
