"""API and workers under one parent, which starts again what dies."""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping

from stemsplitter.errors import StemSplitterError

LOOK_SECONDS = 0.2
# a child that dies at once is started again after 1 s, then 2 s, 4 s …; one that lived a minute begins anew
FIRST_DELAY, LONGEST_DELAY, SETTLED_SECONDS = 1.0, 30.0, 60.0
# the API finishes requests for up to 50 s, a worker its split for as long as the settings say
STOP_SECONDS = 65.0
FAILED = 1  # the exit code of a command that has said what is wrong

_log = logging.getLogger(__name__)


class Child:
    """A process that is to run for as long as its parent does."""

    def __init__(self, name: str, arguments: list[str], environment: Mapping[str, str]) -> None:
        self.name = name
        self._command = [sys.executable, "-m", "stemsplitter.cli.supervised", *arguments]
        self._environment = environment
        self._delay = FIRST_DELAY
        self._started = 0.0
        self._due = 0.0
        self._starts = 0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, in a session of its own: a terminal's Ctrl-C reaches the parent, which stops it in order."""
        self.process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, env=dict(self._environment), start_new_session=True
        )
        self._started = time.monotonic()
        self._starts += 1

    def look(self) -> None:
        """Start it again where it has died and its time has come.

        Raises:
            StemSplitterError: it failed at its first start, and has said why: starting it again would not help.
        """
        if self.process is None:
            if time.monotonic() >= self._due:
                self.start()
            return
        code = self.process.poll()
        if code is None:
            return
        self._forget()
        if self._starts == 1 and code == FAILED:
            raise StemSplitterError(f"The {self.name} cannot start: correct what it says above.")
        if time.monotonic() - self._started > SETTLED_SECONDS:
            self._delay = FIRST_DELAY
        _log.warning("the %s ended with %d and is started again in %g s", self.name, code, self._delay)
        self._due = time.monotonic() + self._delay
        self._delay = min(self._delay * 2, LONGEST_DELAY)

    def terminate(self) -> None:
        """Tell it to end."""
        if self.process is not None:
            self.process.terminate()

    def wait(self, deadline: float) -> None:
        """Wait for its end, and make one at the deadline (of the monotonic clock)."""
        if self.process is None:
            return
        try:
            self.process.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            _log.warning("the %s does not end and is killed", self.name)
            self.process.kill()
            self.process.wait()
        self._forget()

    def _forget(self) -> None:
        assert self.process is not None and self.process.stdin is not None
        self.process.stdin.close()
        self.process = None


class Supervisor:
    """The API and ``workers`` workers. ``settings`` are variables of the children's environment."""

    def __init__(self, workers: int, settings: Mapping[str, str]) -> None:
        environment = os.environ | dict(settings)
        self._children = [Child("API", ["api"], environment)]
        for number in range(1, workers + 1):
            name = "worker" if workers == 1 else f"worker {number}"
            self._children.append(Child(name, ["worker"], environment))

    def run(self, stop: threading.Event) -> None:
        """Run them until ``stop`` is set, then end them all.

        Raises:
            StemSplitterError: one of them cannot start.
        """
        try:
            while not stop.is_set():
                for child in self._children:
                    child.look()
                stop.wait(LOOK_SECONDS)
        finally:
            for child in self._children:
                child.terminate()
            deadline = time.monotonic() + STOP_SECONDS
            for child in self._children:
                child.wait(deadline)
