"""A fleet: API processes behind a load balancer and worker processes that share no folder."""

import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stemsplitter.cli.main import EXIT_STOPPED

from ..waiting import wait_until
from .balancer import Balancer
from .processes import free_port
from .server import START_S, STOP_S, Server

SECRET = "the secret key that all processes of a fleet share"

Process = subprocess.Popen[bytes]


class Fleet(Server):
    """Two ``stemsplitter api`` and two ``stemsplitter worker`` processes on PostgreSQL and S3.

    ``variables`` configure the S3 client, and ``worker_options`` are of the command. Only :meth:`revive` restarts
    processes that have ended.
    """

    def __init__(
        self,
        folder: Path,
        database_url: str,
        storage_url: str,
        variables: Mapping[str, str],
        worker_options: Sequence[str] = (),
        **settings: Any,
    ) -> None:
        self._worker_options = worker_options
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
        """Start the processes that do not run, then the balancer, and wait until all are ready."""
        self.revive()
        if self._balancer is None:
            self._balancer = Balancer(self._port, self._api_ports)

    def revive(self) -> None:
        """Restart the processes that have ended, and wait until all are ready."""
        for number, port in enumerate(self._api_ports):
            self._ensure(f"api{number}", "api", port=port)
        for number in range(2):
            self._ensure(f"worker{number}", "worker", *self._worker_options)
        for number, url in enumerate(self.api_urls):
            self._wait_ready(url, self._processes[f"api{number}"])
        workers = {self._processes[f"worker{number}"].pid for number in range(2)}
        working = "SELECT pid FROM workers WHERE state = 'working'"
        wait_until(lambda: workers <= {pid for (pid,) in self.query(working)}, self.log.read_text, START_S)

    def _ensure(self, name: str, role: str, *options: str, **settings: Any) -> None:
        process = self._processes.get(name)
        if process is None or process.poll() is not None:
            self._processes[name] = self._run(role, *options, data_dir=self._folder / name, **settings)

    @property
    def apis(self) -> list[Process]:
        """Processes behind :attr:`api_urls`, in the same order."""
        return [self._processes["api0"], self._processes["api1"]]

    def stop(self) -> int:
        """Stop all processes gracefully. Returns 0 or the first exit status of a failure."""
        running = [process for process in self._processes.values() if process.poll() is None]
        for process in running:
            process.send_signal(signal.SIGTERM)
        try:
            codes = [process.wait(STOP_S) for process in running]
        finally:
            self.kill()
        return next((code for code in codes if code not in (0, EXIT_STOPPED)), 0)

    def kill(self) -> None:
        """Kill all processes and stop the balancer."""
        for process in self._processes.values():
            process.kill()
            process.wait()
        if self._balancer is not None:
            self._balancer.close()
            self._balancer = None
