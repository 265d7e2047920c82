"""Worker processes: they share splits, requeue those of dead workers, and stop gracefully."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import select, update

from stemsplitter.clock import now
from stemsplitter.credits.models import LedgerEntry
from stemsplitter.database import Database
from stemsplitter.jobs import queue
from stemsplitter.jobs.models import FREE, LOW
from stemsplitter.processes.loop import Worker
from stemsplitter.services import Services
from stemsplitter.settings import Settings
from stemsplitter.splits.models import Split
from stemsplitter.stopping import EXIT_STOPPED
from stemsplitter.webhooks.deliveries import Deliveries
from stemsplitter.worker import heartbeat
from stemsplitter.worker.membership import WORKER
from stemsplitter.worker.models import Worker as WorkerRow
from tests.conftest import OTHER_POSTGRES
from tests.postgres import Postgres
from tests.processes.worker_process import CHECK_SECONDS, LEASE_S
from tests.services import file_maker
from tests.splits.rows import new_split

PROGRAM = "tests.processes.worker_process"
ROOT = Path(__file__).parents[2]
LIMIT_S = 60.0


class Workers:
    """Worker processes on one database, and their log."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database, self.folder = database, folder
        self.log = folder / "log"
        self.log.touch()
        self.processes: list[subprocess.Popen[bytes]] = []
        self.services = Services(Settings(database_url=database.url, data_dir=folder))
        with database.write() as session:
            self.accounts = [
                self.services.accounts.create_account(session, f"{number}@example.org").id
                for number in range(2)
            ]

    def start(self, *, stop_seconds: float = LIMIT_S, concurrency: int = 1) -> subprocess.Popen[bytes]:
        before = self.count("worker started")
        arguments = (self.database.url, self.folder, stop_seconds, concurrency)
        process = subprocess.Popen([sys.executable, "-m", PROGRAM, *map(str, arguments)], cwd=ROOT)
        self.processes.append(process)
        self.wait(lambda: self.count("worker started") > before)
        return process

    def enqueue(self, *names: str, account: int = 0, priority: int = FREE) -> None:
        for name in names:
            key = f"splits/{name}/source.mp3"
            self.services.storage.put_stream(key, [b"song"], "audio/mpeg")
            with self.database.write() as session:
                split = new_split(self.accounts[account], id=name, source_key=key, priority=priority)
                split.credits_used = self.services.credits.hold(session, split.account_id, name, 1)
                queue.place(session, split)
                session.add(split)

    def suspend(self, process: subprocess.Popen[bytes]) -> None:
        """Suspend a process while it does not hold SQLite's only lock, which nobody could release."""
        while True:
            os.kill(process.pid, signal.SIGSTOP)
            if not self.database.is_sqlite:
                return
            with (
                contextlib.closing(
                    sqlite3.connect(self.database.engine.url.database or "", timeout=0.1)
                ) as probe,
                contextlib.suppress(sqlite3.OperationalError),
            ):
                probe.execute("BEGIN IMMEDIATE")
                probe.rollback()
                return
            os.kill(process.pid, signal.SIGCONT)
            time.sleep(0.05)

    def expire(self, process: subprocess.Popen[bytes]) -> None:
        """Expire the lease of a process that is dead or suspended."""
        with self.database.write() as session:
            rows = update(WorkerRow).where(WorkerRow.pid == process.pid)
            session.execute(rows.values(heartbeat_at=now() - timedelta(seconds=LEASE_S + 1)))

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """Kill a process and expire its lease."""
        process.kill()
        process.wait()
        self.expire(process)

    def go_on(self) -> None:
        """Let held splits finish."""
        (self.folder / "go_on").touch()

    def row(self, name: str) -> Split:
        with self.database.read() as session:
            return session.get_one(Split, name)

    def heartbeat_at(self, process: subprocess.Popen[bytes]) -> datetime:
        """Return the time of the last heartbeat of a process."""
        with self.database.read() as session:
            return session.scalars(select(WorkerRow.heartbeat_at).where(WorkerRow.pid == process.pid)).one()

    def ended(self, name: str) -> bool:
        return self.row(name).status == "succeeded"

    def entries(self, name: str) -> list[str]:
        with self.database.read() as session:
            return sorted(session.scalars(select(LedgerEntry.kind).where(LedgerEntry.split_id == name)))

    def lines(self) -> list[str]:
        return [line.partition(" ")[2] for line in self.log.read_text().splitlines()]

    def count(self, line: str) -> int:
        return self.lines().count(line)

    def wait_for(self, line: str, times: int = 1) -> None:
        self.wait(lambda: self.count(line) >= times, line)

    def wait(self, true: Callable[[], bool], what: str = "") -> None:
        deadline = time.monotonic() + LIMIT_S
        while not true():
            assert time.monotonic() < deadline, f"waited for {what!r}; the log: {self.lines()}"
            time.sleep(0.05)

    def close(self) -> None:
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGCONT)
            process.kill()
            process.wait()
        self.services.close()


@pytest.fixture
def workers(database: Database, tmp_path: Path) -> Iterator[Workers]:
    workers = Workers(database, tmp_path)
    yield workers
    workers.close()


def test_splits_end_once(workers: Workers) -> None:
    workers.enqueue("split_1", "split_2_broken")
    workers.start()
    workers.wait(lambda: workers.ended("split_1") and workers.ended("split_2_broken"))
    workers.wait_for("maintenance")
    time.sleep(1)
    assert workers.count("start split_1") == 1
    assert workers.count("start split_2_broken") == 2  # the first time its process died
    assert workers.row("split_2_broken").attempts == 2
    assert workers.entries("split_1") == workers.entries("split_2_broken") == ["hold", "settle"]


def test_maintenance_runs_in_one_worker_and_in_another_after_it_died(workers: Workers) -> None:
    first = workers.start()
    workers.wait_for("maintenance")
    for _ in range(2):
        workers.start()
    time.sleep(2)  # each has checked several times whether it is the leader
    assert workers.count("maintenance") == 1
    workers.kill(first)
    workers.wait_for("maintenance", 2)
    time.sleep(2)
    assert workers.count("maintenance") == 2


def test_account_with_many_splits_does_not_delay_another(workers: Workers) -> None:
    many = [f"split_{number:02}" for number in range(8)]
    workers.enqueue(*many)
    workers.enqueue("split_other", account=1)
    workers.start()
    workers.wait_for("end split_other")
    before = workers.lines()[: workers.lines().index("end split_other")]
    assert sum(before.count(f"end {split}") for split in many) <= 1


def test_worker_runs_several_splits_up_to_the_cap_of_an_account(workers: Workers) -> None:
    workers.enqueue("split_endless_1", "split_endless_2", "split_endless_3")
    workers.enqueue("split_endless_4", account=1)
    workers.start(concurrency=4)
    for number in (1, 2, 4):
        workers.wait_for(f"start split_endless_{number}")
    time.sleep(1)
    assert workers.row("split_endless_3").status == "queued"  # the cap is two splits of an account


def test_split_of_a_low_priority_gives_way_and_runs_again(workers: Workers) -> None:
    workers.start()
    workers.enqueue("split_held_low", priority=LOW)
    workers.wait_for("start split_held_low")
    workers.enqueue("split_1", account=1)
    workers.wait(lambda: workers.ended("split_1"))
    workers.wait_for("start split_held_low", 2)
    assert workers.lines().index("stopped split_held_low") < workers.lines().index("start split_1")
    workers.go_on()
    workers.wait(lambda: workers.ended("split_held_low"))
    assert workers.row("split_held_low").attempts == 1  # giving way cost none
    assert workers.entries("split_held_low") == ["hold", "settle"]


def test_split_of_a_killed_worker_runs_on_another(workers: Workers) -> None:
    first = workers.start()
    workers.enqueue("split_held")
    workers.wait_for("start split_held")
    workers.kill(first)
    workers.go_on()
    workers.start()
    workers.wait(lambda: workers.ended("split_held"))
    assert workers.count("start split_held") == 2
    assert workers.row("split_held").attempts == 2


def test_low_files_of_a_killed_run_are_deleted_while_the_worker_runs(workers: Workers) -> None:
    workers.start()
    workers.start()  # not the leader
    dead = workers.folder / "work" / "run_dead"
    dead.mkdir(parents=True)
    (dead / "vocals.wav").touch()
    workers.wait(lambda: not dead.exists())


def test_split_of_a_live_worker_stays_with_it(workers: Workers) -> None:
    first = workers.start()
    workers.enqueue("split_endless")
    workers.wait_for("start split_endless")
    workers.start()
    for _ in range(3):
        started = now()
        workers.wait(lambda started=started: workers.heartbeat_at(first) > started)  # type: ignore[misc]
    time.sleep(1)
    assert workers.count("start split_endless") == 1


def test_running_split_finishes_before_the_worker_stops(workers: Workers) -> None:
    process = workers.start()
    workers.enqueue("split_held")
    workers.wait_for("start split_held")
    workers.enqueue("split_1")
    process.terminate()
    workers.wait_for("stopping")
    workers.go_on()
    assert process.wait(LIMIT_S) == 0
    assert workers.ended("split_held")
    assert workers.row("split_1").status == "queued"


def test_split_that_does_not_finish_in_time_is_released(workers: Workers) -> None:
    process = workers.start(stop_seconds=0.2)
    workers.enqueue("split_endless")
    workers.wait_for("start split_endless")
    process.terminate()
    assert process.wait(LIMIT_S) == 0
    assert workers.count("stopped split_endless") == 1
    split = workers.row("split_endless")
    assert (split.status, split.attempts, split.worker_id) == ("queued", 0, None)
    workers.start()
    workers.wait_for("start split_endless", 2)  # long before the lease expires


def test_c_second_signal_ends_a_worker_that_waits_for_its_split(workers: Workers) -> None:
    process = workers.start()
    workers.enqueue("split_endless")
    workers.wait_for("start split_endless")
    process.terminate()
    workers.wait_for("stopping")
    process.send_signal(signal.SIGINT)
    assert process.wait(LIMIT_S / 2) == EXIT_STOPPED
    assert workers.count("stopped split_endless") == 0
    workers.expire(process)
    workers.start()
    workers.wait_for("start split_endless", 2)


def test_suspended_worker_does_not_end_a_requeued_split(workers: Workers) -> None:
    first = workers.start()
    workers.enqueue("split_held")
    workers.wait_for("start split_held")
    workers.suspend(first)
    workers.expire(first)
    workers.go_on()
    workers.start()
    workers.wait(lambda: workers.ended("split_held"))
    ended_at = workers.row("split_held").finished_at
    os.kill(first.pid, signal.SIGCONT)
    workers.enqueue("split_1", "split_2")
    workers.wait(lambda: workers.ended("split_1") and workers.ended("split_2"))
    workers.wait_for("end split_held", 2)
    assert workers.row("split_held").finished_at == ended_at
    assert workers.entries("split_held") == ["hold", "settle"]


@pytest.mark.fleet
@pytest.mark.skipif(bool(OTHER_POSTGRES), reason="cannot stop an external server")
def test_database_outage_fails_no_split(workers: Workers, own_postgres: Postgres | None) -> None:
    assert own_postgres is not None
    both = [workers.start() for _ in range(2)]
    workers.enqueue("split_held")
    workers.wait_for("start split_held")
    own_postgres.stop()
    try:
        for process in both:
            workers.wait_for(f"unavailable {process.pid}")
        # longer than a lease and than the separation
        (workers.folder / "ahead").write_text(str(2 * LEASE_S))
        workers.go_on()
        workers.wait_for("end split_held")
    finally:
        own_postgres.start()
    workers.wait(lambda: workers.ended("split_held"))
    assert (workers.row("split_held").attempts, workers.count("start split_held")) == (1, 1)
    workers.enqueue("split_1", "split_2")
    workers.wait(lambda: workers.ended("split_1") and workers.ended("split_2"))
    assert workers.entries("split_held") == ["hold", "settle"]


class FaultyJobs:
    """Jobs that fail to be claimed, and record calls."""

    def __init__(self, failures: int) -> None:
        self._failures = failures
        self.calls: list[str] = []
        self.live: list[Collection[str]] = []

    def models(self) -> Sequence[str]:
        return ["one"] if not self.calls else ["one", "two"]

    def claim(self, worker_id: str) -> SimpleNamespace | None:
        self._failures -= 1
        if self._failures >= 0:
            raise OSError("the database is unavailable")
        return None if self.calls else SimpleNamespace(id=worker_id, priority=FREE)

    def claim_tool(self, worker_id: str) -> None:
        return None

    def claim_test(self, worker_id: str) -> None:
        return None

    def run(self, job: SimpleNamespace, abort: threading.Event) -> None:
        self.calls.append(job.id)
        raise OSError("the database is unavailable again")

    def requeue_lost(self, worker_id: str) -> None:
        pass

    def requeue_dead(self, live: Callable[[], Collection[str]]) -> None:
        self.live.append(live())

    def requeue_own(self, worker_id: str) -> None:
        self.calls.append("requeued")


def test_worker_continues_after_failures_of_the_database(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It also publishes its models when they change."""
    monkeypatch.setattr(heartbeat, "HEARTBEATS_PER_LEASE", LEASE_S / CHECK_SECONDS)
    monkeypatch.setattr("stemsplitter.worker.retry.DELAYS", (0.01,))
    ends: list[int] = []

    class Ended(Exception):
        pass

    def end(code: int) -> None:
        ends.append(code)
        raise Ended

    monkeypatch.setattr("os._exit", end)
    monkeypatch.setattr("logging.shutdown", lambda: None)
    settings = Settings(data_dir=tmp_path, database_url=database.url, lease_seconds=LEASE_S, stop_seconds=0)
    services, jobs, stop = Services(settings), FaultyJobs(3), threading.Event()
    own = services.heartbeat(WORKER, jobs.models())
    monkeypatch.setattr(own, "live_workers", lambda: ["wrk_other"])
    worker = Worker(own, settings, jobs, Deliveries(database, services.webhooks), file_maker(services))

    def wait_for_calls() -> None:
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            with database.read() as session:
                rows = session.scalars(select(WorkerRow)).all()
            if jobs.calls and jobs.live and [row.models for row in rows] == [["one", "two"]]:
                break
            time.sleep(0.05)
        stop.set()

    threading.Thread(target=wait_for_calls).start()
    with pytest.raises(Ended):
        worker.run(stop)
    services.close()
    (claimed, requeued) = jobs.calls
    assert (requeued, ends) == ("requeued", [0])
    assert jobs.live[0] == {claimed, "wrk_other"}  # includes this worker, however late its heartbeat is
    with database.read() as session:
        (row,) = session.scalars(select(WorkerRow))
    assert (row.id, row.state, row.models) == (claimed, "stopped", ["one", "two"])
