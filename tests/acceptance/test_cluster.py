"""Faults of a fleet whose splits run on a cluster of dask: processes of both are killed; each split ends once."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from ..waiting import wait_until
from .account import Account
from .fleet import Fleet, Process
from .processes import free_port
from .songs import encode, sung
from .test_fleet import LEASE_S, LIMIT_S

pytestmark = pytest.mark.fleet

LONG_S = 6
SPLITS = 1  # short ones, beside a long one


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def fleet(make_server: Callable[..., Fleet], port: int) -> Iterator[tuple[Fleet, "Cluster"]]:
    """Fleet on a cluster of two workers."""
    options = ("--cluster", f"tcp://127.0.0.1:{port}", "--concurrency", "2")
    fleet = make_server(lease_seconds=LEASE_S, worker_options=options)
    with ExitStack() as stack:
        cluster = Cluster(port, fleet.environment, fleet.log)
        stack.callback(cluster.stop)
        fleet.start()
        yield fleet, cluster
        assert fleet.stop() == 0


class Cluster:
    """Scheduler and two workers of dask."""

    def __init__(self, port: int, environment: dict[str, str], log: Path) -> None:
        self._environment, self._log = environment, log
        local = ["--host", "127.0.0.1", "--no-dashboard"]
        worker = ["worker", f"tcp://127.0.0.1:{port}", "--nthreads", "2", "--no-nanny", *local]
        self._commands = {
            "scheduler": ["scheduler", "--port", str(port), *local],
            "worker0": worker,
            "worker1": worker,
        }
        self._running: dict[str, Process] = {}
        self.revive()

    def revive(self) -> None:
        """Start the processes that do not run."""
        for name, command in self._commands.items():
            if name not in self._running or self._running[name].poll() is not None:
                with self._log.open("ab") as log:
                    self._running[name] = subprocess.Popen(
                        [sys.executable, "-m", "dask", *command],
                        env=self._environment,
                        stdout=log,
                        stderr=log,
                    )

    def kill(self, name: str) -> None:
        self._running[name].kill()
        self._running[name].wait()

    def stop(self) -> None:
        for name in self._running:
            self.kill(name)


@pytest.mark.timeout(600)
def test_splits_survive_kills_of_workers_and_of_the_scheduler(
    fleet: tuple[Fleet, Cluster], song: Path, tmp_path: Path
) -> None:
    servers, cluster = fleet
    long_song = encode(tmp_path / "long.wav", sung(LONG_S * 8_000, 1, 8_000), 8_000, "pcm_s16le")
    with Account(servers) as account:
        before = account.balance()
        ids = [account.start_split(long_song), *(account.start_split(song) for _ in range(SPLITS))]
        account.wait_for_progress(ids[0])
        cluster.kill("worker0")
        cluster.revive()
        cluster.kill("worker1")
        wait_until(lambda: account.row(ids[0], "status")[0] != "queued", "the split was lost", LIMIT_S)
        cluster.kill("scheduler")
        cluster.revive()
        if account.row(ids[0], "status") == ("processing",):
            claimer = account.worker_of(ids[0])
            os.kill(claimer, signal.SIGKILL)
            servers.expire_leases(claimer)
        wait_until(lambda: cluster.revive() or _ended(account, ids), servers.log.read_text, 2 * LIMIT_S)
        views = [account.wait_for_end(split_id) for split_id in ids]
        assert [view["status"] for view in views] == ["succeeded"] * len(ids)
        costs = [LONG_S, *[2] * SPLITS]
        for split_id, cost in zip(ids, costs, strict=True):
            assert account.ledger_entries(split_id) == [("hold", -cost), ("settle", 0)]
        assert before - account.balance() == sum(costs)
        for url in (url for view in views for url in view["stems"].values()):
            assert httpx2.get(url, timeout=LIMIT_S).status_code == 200
        servers.revive()


def _ended(account: Account, ids: list[str]) -> bool:
    return all(account.row(split_id, "status")[0] not in ("queued", "processing") for split_id in ids)
