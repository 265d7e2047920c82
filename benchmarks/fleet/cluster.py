"""A fleet on one machine: PostgreSQL, an S3 server, and `stemsplitter` processes that simulate separate hosts.

Each process has its own folder, session and log. The processes share the database, the bucket and the secret key.
"""

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import psycopg
from sqlalchemy import make_url

from benchmarks.fleet.store import FaultyStore
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.migrations.upgrade import upgrade
from stemsplitter.services import Services
from stemsplitter.settings import Settings
from tests.acceptance.command import COMMAND
from tests.acceptance.tiny_model import TINY_MODEL, write_tiny_model
from tests.postgres import Postgres, postgres

PUBLIC_URL = "http://stems.example.org"  # of a load balancer; clients replace it with that of an API process
BUCKET = "stems"
START_S = 120
STOP_S = 80
RESTART_S = 0.5
S3 = {
    "AWS_ACCESS_KEY_ID": "fleet",
    "AWS_SECRET_ACCESS_KEY": "not-a-real-secret",
    "AWS_REGION": "us-east-1",
}


class Host:
    """Process with its children that can be killed, frozen and restarted. Its output is appended to ``log``."""

    def __init__(
        self, name: str, command: Sequence[str | Path], environment: Mapping[str, str], log: Path
    ) -> None:
        self.name, self.log = name, log
        self._command, self._environment = command, environment
        self._process: subprocess.Popen[bytes] | None = None
        self.starts = 0

    @property
    def pid(self) -> int:
        """Process id of the latest start."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """True if the process exists, frozen or not."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process in a new session."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=dict(self._environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.starts += 1

    def kill(self) -> None:
        """Send SIGKILL to the process and its children, which simulates a power failure."""
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def signal(self, number: int) -> None:
        """Send a signal to the process and its children."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def stop(self) -> int:
        """Stop the process gracefully. Returns its exit status."""
        assert self._process is not None
        self._process.terminate()
        try:
            return self._process.wait(STOP_S)
        finally:
            self.kill()


class Fleet:
    """Fleet; created by :func:`fleet`.

    Attributes:
        services: services in this process, to query the database and the store.
        apis, workers: processes, in the order of their names; ``urls`` are those of the APIs.
        settings: settings of all processes.
        store: proxy in front of the S3 server.
    """

    def __init__(
        self, folder: Path, server: Postgres, database: str, store: FaultyStore, settings: Mapping[str, Any]
    ) -> None:
        self.postgres, self.store = server, store
        self.database = psycopg_url(database)
        self.apis: list[Host] = []
        self.workers: list[Host] = []
        self.urls: list[str] = []
        self._folder = folder
        self.settings: dict[str, Any] = {
            "database_url": database,
            "storage_url": f"s3://{BUCKET}",
            "public_url": PUBLIC_URL,
            "secret_key": secrets.token_hex(32),
            "threads": 1,
            "device": "cpu",
            "allowed_networks": "127.0.0.0/8",
            "read_limit": 1_000_000,
            "create_limit": 1_000_000,
            "free_credits": 100_000,
        } | dict(settings)
        self._variables = {
            name: value for name, value in os.environ.items() if not name.startswith("STEMSPLITTER_")
        }
        self._variables |= {**S3, "AWS_ENDPOINT_URL": store.url}
        os.environ.update({**S3, "AWS_ENDPOINT_URL": store.url})
        own = {name: value for name, value in self.settings.items() if name in Settings.model_fields}
        self.services = Services(Settings(data_dir=folder / "here", **own))

    def add_apis(self, number: int) -> None:
        """Start ``number`` more API processes and wait until they are ready."""
        for _ in range(number):
            port = free_port()
            name = f"api{len(self.apis) + 1}"
            self.apis.append(self._host(name, "api", port=port))
            self.urls.append(f"http://127.0.0.1:{port}")
        for url in self.urls[-number:]:
            ready = f"{url}/readyz"
            wait_until(partial(is_ready, ready), START_S, f"{url} is not ready, see {self._folder}")

    def add_workers(self, number: int, *options: str) -> None:
        """Start ``number`` more workers and wait for their heartbeats."""
        for _ in range(number):
            self.add_worker(*options)
        wait_until(
            lambda: self.live_workers() >= len(self.workers), START_S, f"no worker, see {self._folder}"
        )

    def add_worker(self, *options: str) -> Host:
        """Start a worker."""
        self.workers.append(self._host(f"worker{len(self.workers) + 1}", "worker", *options))
        return self.workers[-1]

    def live_workers(self) -> int:
        """Count the workers with a current heartbeat in the database."""
        since = (time.time() - self.services.settings.lease_seconds) * 1000
        query = f"SELECT count(*) FROM workers WHERE state = 'working' AND heartbeat_at > {since:.0f}"
        return int(self.query(query)[0][0])

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Query the database; retries while it restarts."""
        return self._execute(sql).fetchall()

    def execute(self, sql: str) -> None:
        """Execute a statement; retries as :meth:`query` does."""
        self._execute(sql)

    def _execute(self, sql: str) -> psycopg.Cursor[tuple[Any, ...]]:
        end = time.monotonic() + START_S
        while True:
            try:
                with psycopg.connect(self.database, autocommit=True) as connection:
                    return connection.execute(sql.encode())
            except psycopg.OperationalError:
                if time.monotonic() > end:
                    raise
            time.sleep(0.1)

    def new_key(self, email: str) -> str:
        """Create an account. Returns its API key."""
        with self.services.database.write() as session:
            account = self.services.accounts.create_account(session, email)
            return self.services.accounts.create_key(session, account.id, "benchmark")[1]

    def restart_postgres(self, number: signal.Signals) -> None:
        """Restart PostgreSQL with a shutdown by signal (SIGINT: fast, SIGQUIT: immediate)."""
        folder = Path(str(make_url(self.postgres.url).query["host"]))
        pid_file = folder / "data" / "postmaster.pid"
        os.kill(int(pid_file.read_text().split()[0]), number)
        self.postgres.stop()
        self.postgres.start()

    @contextmanager
    def supervised(self) -> Iterator[None]:
        """Restart processes that end, as a supervisor does, until the block ends."""
        ended = threading.Event()

        def look() -> None:
            while not ended.wait(RESTART_S):
                for host in (*self.apis, *self.workers):
                    if not host.is_running:
                        host.start()

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def close(self) -> None:
        """Kill all processes and close the services."""
        for host in (*self.workers, *self.apis):
            host.kill()
        self.services.close()

    def _host(self, name: str, role: str, *options: str, **settings: Any) -> Host:
        folder = self._folder / name
        folder.mkdir(parents=True)
        ours = {"data_dir": folder, **self.settings, **settings}
        variables = {f"STEMSPLITTER_{each.upper()}": str(value) for each, value in ours.items()}
        host = Host(
            name, [COMMAND, role, *options], self._variables | variables, self._folder / f"{name}.log"
        )
        host.start()
        return host


@contextmanager
def fleet(folder: Path, *, real_models: bool = False, **settings: Any) -> Iterator[Fleet]:
    """Run PostgreSQL and an S3 server in ``folder``, with a migrated database and no `stemsplitter` process yet.

    ``settings`` are named without their prefix. Without ``real_models`` the only model is a small one with random
    weights.
    """
    if not real_models:
        cache = folder / "cache"
        ModelStore(cache / "models").add(TINY_MODEL, write_tiny_model(folder / "tiny.safetensors"))
        settings = {
            "cache_dir": cache,
            "offline": 1,
            "model_6s": TINY_MODEL,
            "model_4s": TINY_MODEL,
        } | settings
    with ExitStack() as stack:
        server = stack.enter_context(postgres())
        store = stack.enter_context(s3(folder))
        yield stack.enter_context(_made(folder, server, server.url, store, settings))


@contextmanager
def beside(made: Fleet, folder: Path) -> Iterator[Fleet]:
    """Create a second fleet with its own database on the same PostgreSQL server, with the same store and settings."""
    folder.mkdir()
    made.execute("CREATE DATABASE beside")
    url = make_url(made.postgres.url).set(database="beside").render_as_string(hide_password=False)
    with _made(folder, made.postgres, url, made.store, {**made.settings, "database_url": url}) as other:
        yield other


@contextmanager
def _made(
    folder: Path, server: Postgres, database: str, store: FaultyStore, settings: Mapping[str, Any]
) -> Iterator[Fleet]:
    made = Fleet(folder, server, database, store, settings)
    try:
        upgrade(made.services.database)
        yield made
    finally:
        made.close()


@contextmanager
def s3(folder: Path) -> Iterator[FaultyStore]:
    """Run an S3 server with an empty bucket. Yields the proxy in front of it."""
    (folder / "s3" / BUCKET).mkdir(parents=True)
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "NANIO_ACCESS_KEY": S3["AWS_ACCESS_KEY_ID"],
        "NANIO_SECRET_KEY": S3["AWS_SECRET_ACCESS_KEY"],
    }
    command = [sys.executable, "-m", "nanio", "serve", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--data-dir", str(folder / "s3"), "--log-level", "warning", "--no-access-log"]
    server = Host("s3", command, environment, folder / "s3.log")
    server.start()
    try:
        wait_until(lambda: _listens(port), START_S, f"the S3 server did not start, see {server.log}")
        with FaultyStore(port).listening() as store:
            yield store
    finally:
        server.kill()


@contextmanager
def workplace(kept: Path | None) -> Iterator[Path]:
    """Create a folder for a fleet: a temporary one, or ``kept``, to read the logs afterwards."""
    if kept is not None:
        kept.mkdir(parents=True)
        yield kept.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="stemsplitter-fleet-") as name:
        yield Path(name)


def wait_until(condition: Callable[[], object], seconds: float, otherwise: str) -> None:
    """Wait until the condition is true. Raises AssertionError with ``otherwise`` after ``seconds``."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(otherwise)
        time.sleep(0.05)


def free_port() -> int:
    """Find a port of loopback on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def psycopg_url(url: str) -> str:
    """Convert a SQLAlchemy URL of a database to one for psycopg."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def is_ready(url: str) -> bool:
    """Return True if the URL returns status 200."""
    try:
        return httpx2.get(url, timeout=10).status_code == 200
    except httpx2.TransportError:
        return False


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
