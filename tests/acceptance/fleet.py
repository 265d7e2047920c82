"""A fleet as an operator runs it: APIs behind a balancer, and workers, each as if on a host of its own."""

import itertools
import select
import signal
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from stemsplitter.cli.main import EXIT_STOPPED

from .server import START_S, STOP_S, Server, free_port

SECRET = "the one that all processes of these tests have"
BLOCK_BYTES = 1 << 16

Process = subprocess.Popen[bytes]


class Fleet(Server):
    """Two ``stemsplitter api`` and two ``stemsplitter worker`` on PostgreSQL and S3; they share no folder.

    ``variables`` are those with which S3 is reached. What dies is not started again but by :meth:`revive`.
    """

    def __init__(
        self, folder: Path, database_url: str, storage_url: str, variables: Mapping[str, str], **settings: Any
    ) -> None:
        shared = {"database_url": database_url, "storage_url": storage_url, "secret_key": SECRET}
        self._port = free_port()
        self._folder = folder
        super().__init__(folder, **shared, public_url=f"http://127.0.0.1:{self._port}", **settings)
        self.environment |= variables
        self.url = f"http://127.0.0.1:{self._port}"
        self._api_ports = [free_port() for _ in range(2)]
        self.api_urls = [f"http://127.0.0.1:{port}" for port in self._api_ports]
        self._processes: dict[str, Process] = {}
        self._balancer: Balancer | None = None

    def start(self) -> None:
        """Start what does not run, and wait until all of it is at work."""
        self.revive()
        if self._balancer is None:
            self._balancer = Balancer(self._port, self._api_ports)

    def revive(self) -> None:
        """Start again what has ended, as a supervisor would, and wait until all of it is at work."""
        for number, port in enumerate(self._api_ports):
            self._ensure(f"api{number}", "api", port=port)
        for number in range(2):
            self._ensure(f"worker{number}", "worker")
        for number, url in enumerate(self.api_urls):
            self._wait_ready(url, self._processes[f"api{number}"])
        workers = {self._processes[f"worker{number}"].pid for number in range(2)}
        end = time.monotonic() + START_S
        while not workers <= {
            pid for (pid,) in self.query("SELECT pid FROM workers WHERE state = 'working'")
        }:
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.1)

    def _ensure(self, name: str, role: str, **settings: Any) -> None:
        process = self._processes.get(name)
        if process is None or process.poll() is not None:
            self._processes[name] = self._run(role, data_dir=self._folder / name, **settings)

    @property
    def apis(self) -> list[Process]:
        """The processes behind :attr:`api_urls`."""
        return [self._processes["api0"], self._processes["api1"]]

    def stop(self) -> int:
        """Tell all to stop, and wait until they have. 0, or the first exit status that is not that of a good end."""
        running = [process for process in self._processes.values() if process.poll() is None]
        for process in running:
            process.send_signal(signal.SIGTERM)
        try:
            codes = [process.wait(STOP_S) for process in running]
        finally:
            self.kill()
        return next((code for code in codes if code not in (0, EXIT_STOPPED)), 0)

    def kill(self) -> None:
        """Kill all of it."""
        for process in self._processes.values():
            process.kill()
            process.wait()
        if self._balancer is not None:
            self._balancer.close()
            self._balancer = None


class Balancer(socketserver.ThreadingTCPServer):
    """Gives each connection to the next port that takes it, and knows nothing of HTTP."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int, targets: list[int]) -> None:
        super().__init__(("127.0.0.1", port), _Connection)
        self.targets = targets
        self.turn = itertools.cycle(range(len(targets)))
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self.shutdown()
        self.server_close()


class _Connection(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Balancer)
        first = next(self.server.turn)
        for port in self.server.targets[first:] + self.server.targets[:first]:
            with suppress(OSError):  # its process is gone
                with socket.create_connection(("127.0.0.1", port)) as target:
                    self._pass(target)
                return

    def _pass(self, target: socket.socket) -> None:
        other = {self.request: target, target: self.request}
        with suppress(OSError):  # one end is gone
            while True:
                for end in select.select(list(other), [], [])[0]:
                    data = end.recv(BLOCK_BYTES)
                    if not data:
                        return
                    other[end].sendall(data)
