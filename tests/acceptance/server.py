"""``stemsplitter serve`` in processes of its own, on a free port of loopback."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy import text

from stemsplitter.catalogue.store import ModelStore
from stemsplitter.database import Database
from stemsplitter.services import Services
from stemsplitter.settings import Settings

from .command import COMMAND
from .processes import free_port
from .tiny_model import TINY_MODEL, write_tiny_model

START_S = 120
STOP_S = 80


class Server:
    """``stemsplitter serve`` with a small model with random weights. ``settings`` are named without their prefix."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.port = port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / "server.log"
        self.database = folder / "data" / "stemsplitter.db"
        cache = folder / "cache"
        if not cache.exists():
            ModelStore(cache / "models").add(TINY_MODEL, write_tiny_model(folder / "tiny.safetensors"))
        ours = {
            "data_dir": folder / "data",
            "port": port,
            "cache_dir": cache,
            "offline": 1,
            "model_6s": TINY_MODEL,
            "model_4s": TINY_MODEL,
            "threads": 1,
            "allowed_networks": "127.0.0.0/8",
            "read_limit": 1_000_000,
            "create_limit": 1_000_000,
            "free_credits": 100_000,
        } | settings
        clean = {name: value for name, value in os.environ.items() if not name.startswith("STEMSPLITTER_")}
        self.environment = clean | {
            f"STEMSPLITTER_{name.upper()}": str(value) for name, value in ours.items()
        }
        known = ("data_dir", "database_url", "storage_url", "secret_key", "free_credits")
        self._settings = Settings(**{name: ours[name] for name in known if name in ours})
        self._process: subprocess.Popen[bytes] | None = None

    def command(self, *arguments: str) -> str:
        """Run a command in the server's environment. Returns its standard output; a failure fails the test."""
        done = subprocess.run(
            [COMMAND, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=START_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def new_key(self, email: str) -> str:
        """Create an account with an API key in the database, as the operator's commands do. Returns the key."""
        services = Services(self._settings)
        try:
            with services.database.write() as session:
                account = services.accounts.create_account(session, email)
                return services.accounts.create_key(session, account.id, "test")[1]
        finally:
            services.close()

    def query(self, sql: str, **values: Any) -> list[tuple[Any, ...]]:
        """Query the server's database directly."""
        database = Database(self._settings.database)
        try:
            with database.read() as session:
                return [tuple(row) for row in session.execute(text(sql), values)]
        finally:
            database.close()

    def expire_leases(self, *workers: int) -> None:
        """Expire the leases of workers, given by process id."""
        database = Database(self._settings.database)
        try:
            with database.write() as session:
                for pid in workers:
                    session.execute(
                        text("UPDATE workers SET heartbeat_at = 0 WHERE pid = :pid"), {"pid": pid}
                    )
        finally:
            database.close()

    def start(self) -> None:
        """Start the server and wait until it is ready."""
        self._process = self._run("serve")
        self._wait_ready(self.url, self._process)

    def _run(self, role: str, *options: str, **settings: Any) -> "subprocess.Popen[bytes]":
        """Start a process with options and additional settings; it appends to the common log."""
        own = {f"STEMSPLITTER_{name.upper()}": str(value) for name, value in settings.items()}
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [COMMAND, role, *options],
                env=self.environment | own,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a signal to one process reaches no other
            )

    def _wait_ready(self, url: str, process: "subprocess.Popen[bytes]") -> None:
        end = time.monotonic() + START_S
        while time.monotonic() < end and process.poll() is None:
            try:
                if httpx2.get(f"{url}/readyz", timeout=START_S).status_code == 200:
                    return
            except httpx2.TransportError:
                pass
            time.sleep(0.1)
        raise AssertionError(f"the server did not start:\n{self.log.read_text()}")

    def is_listening(self) -> bool:
        """Return True if the server accepts connections."""
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), timeout=START_S),
        ):
            return True
        return False

    @property
    def pid(self) -> int:
        """Process id of the supervisor."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> int:
        """Stop the server gracefully. Returns its exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(STOP_S)
        finally:
            self._process.kill()
            self._process.wait()

    def kill(self) -> None:
        """Kill the supervisor only."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
