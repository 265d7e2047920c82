"""Supervisor of the API and the workers: it restarts processes that die."""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping

from stemsplitter.errors import StemSplitterError

POLLING_SECONDS = 0.2
# restart delay: 1 s, then 2 s, 4 s …; reset after a minute without a failure
FIRST_DELAY, MAX_DELAY, STABLE_SECONDS = 1.0, 30.0, 60.0
# the API finishes requests for up to 50 s, a worker its splits for up to STEMSPLITTER_STOP_SECONDS
STOP_SECONDS = 65.0
FAILED = 1  # exit code of a command that has printed an error

_log = logging.getLogger(__name__)


class SupervisedProcess:
    """A process that is restarted when it dies."""

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
        """Start it in its own session: Ctrl-C in a terminal reaches only the supervisor, which stops it in order."""
        self.process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, env=dict(self._environment), start_new_session=True
        )
        self._started = time.monotonic()
        self._starts += 1

    def check(self) -> None:
        """Restart it if it has died and the delay is over.

        Raises:
            StemSplitterError: its first start failed with an error that it has printed.
        """
        if self.process is None:
            if time.monotonic() >= self._due:
                self.start()
            return
        code = self.process.poll()
        if code is None:
            return
        self._detach()
        if self._starts == 1 and code == FAILED:
            raise StemSplitterError(f"The {self.name} cannot start: correct the error above.")
        if time.monotonic() - self._started > STABLE_SECONDS:
            self._delay = FIRST_DELAY
        _log.warning("%s exited with code %d, restarting in %g s", self.name, code, self._delay)
        self._due = time.monotonic() + self._delay
        self._delay = min(self._delay * 2, MAX_DELAY)

    def terminate(self) -> None:
        """Send SIGTERM."""
        if self.process is not None:
            self.process.terminate()

    def wait(self, deadline: float) -> None:
        """Wait until it exits; kill it at the deadline (of the monotonic clock)."""
        if self.process is None:
            return
        try:
            self.process.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            _log.warning("%s did not stop in time, killing it", self.name)
            self.process.kill()
            self.process.wait()
        self._detach()

    def _detach(self) -> None:
        assert self.process is not None and self.process.stdin is not None
        self.process.stdin.close()
        self.process = None


class Supervisor:
    """Supervises the API and ``workers`` workers. ``settings`` are environment variables of the processes."""

    def __init__(self, workers: int, settings: Mapping[str, str]) -> None:
        environment = os.environ | dict(settings)
        self._processes = [SupervisedProcess("API", ["api"], environment)]
        for number in range(1, workers + 1):
            name = "worker" if workers == 1 else f"worker {number}"
            self._processes.append(SupervisedProcess(name, ["worker"], environment))

    def run(self, stop: threading.Event) -> None:
        """Run the processes until ``stop`` is set, then stop them.

        Raises:
            StemSplitterError: one of them cannot start.
        """
        try:
            while not stop.is_set():
                for process in self._processes:
                    process.check()
                stop.wait(POLLING_SECONDS)
        finally:
            for process in self._processes:
                process.terminate()
            deadline = time.monotonic() + STOP_SECONDS
            for process in self._processes:
                process.wait(deadline)
