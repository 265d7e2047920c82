"""Workers as processes: they take splits, share them out, take over from the dead, and stop with grace."""

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

import pytest
from sqlalchemy import select, update

from stemsplitter.clock import now
from stemsplitter.credits.models import LedgerEntry
from stemsplitter.database import Database
from stemsplitter.processes.loop import Worker
from stemsplitter.services import Services
from stemsplitter.settings import Settings
from stemsplitter.splits import queue
from stemsplitter.splits.models import Split
from stemsplitter.webhooks.deliveries import Deliveries
from stemsplitter.worker import heartbeat
from stemsplitter.worker.membership import WORKER
from stemsplitter.worker.models import Worker as WorkerRow
from tests.conftest import OTHER_POSTGRES
from tests.postgres import Postgres
from tests.splits.rows import new_split
from tests.worker.worker_process import LEASE_S, LOOK_SECONDS

PROGRAM = "tests.worker.worker_process"
ROOT = Path(__file__).parents[2]
LIMIT_S = 60.0


class Workers:
    """Worker processes on one database, and the log they write."""

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
        before = self.count("start")
        arguments = (self.database.url, self.folder, stop_seconds, concurrency)
        process = subprocess.Popen([sys.executable, "-m", PROGRAM, *map(str, arguments)], cwd=ROOT)
        self.processes.append(process)
        self.wait(lambda: self.count("start") > before)
        return process

    def enqueue(self, *names: str, account: int = 0) -> None:
        for name in names:
            key = f"splits/{name}/source.mp3"
            self.services.storage.put_stream(key, [b"song"], "audio/mpeg")
            with self.database.write() as session:
                split = new_split(self.accounts[account], id=name, source_key=key)
                split.credits_used = self.services.credits.hold(session, split.account_id, name, 1)
                queue.place(session, split)
                session.add(split)

    def freeze(self, process: subprocess.Popen[bytes]) -> None:
        """Stop a process at a moment at which it does not hold SQLite's only lock: nobody could take that from it."""
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

    def silence(self, process: subprocess.Popen[bytes]) -> None:
        """Have it that nothing was heard of a process, which is dead or frozen, for longer than its lease."""
        with self.database.write() as session:
            its = update(WorkerRow).where(WorkerRow.pid == process.pid)
            session.execute(its.values(heartbeat_at=now() - timedelta(seconds=LEASE_S + 1)))

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """Kill a process, which is known to be dead when its lease has ended, as it has then."""
        process.kill()
        process.wait()
        self.silence(process)

    def go_on(self) -> None:
        """Let go of the splits that are held."""
        (self.folder / "go_on").touch()

    def row(self, name: str) -> Split:
        with self.database.read() as session:
            return session.get_one(Split, name)

    def heard(self, process: subprocess.Popen[bytes]) -> datetime:
        """When it has last told that it lives."""
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


def test_splits_come_to_an_end_once(workers: Workers) -> None:
    workers.enqueue("split_1", "split_2_broken")
    workers.start()
    workers.wait(lambda: workers.ended("split_1") and workers.ended("split_2_broken"))
    workers.wait_for("chore")
    time.sleep(1)
    assert workers.count("begin split_1") == 1
    assert workers.count("begin split_2_broken") == 2  # the first time its process died
    assert workers.row("split_2_broken").attempts == 2
    assert workers.entries("split_1") == workers.entries("split_2_broken") == ["hold", "settle"]


def test_chores_are_done_by_one_of_several_workers_and_by_another_when_that_dies(workers: Workers) -> None:
    first = workers.start()
    workers.wait_for("chore")
    for _ in range(2):
        workers.start()
    time.sleep(2)  # each has looked several times whether the chore is its
    assert workers.count("chore") == 1
    workers.kill(first)
    workers.wait_for("chore", 2)
    time.sleep(2)
    assert workers.count("chore") == 2


def test_an_account_with_many_splits_does_not_hold_up_another(workers: Workers) -> None:
    many = [f"split_{number:02}" for number in range(8)]
    workers.enqueue(*many)
    workers.enqueue("split_other", account=1)
    workers.start()
    workers.wait_for("end split_other")
    before = workers.lines()[: workers.lines().index("end split_other")]
    assert sum(before.count(f"end {split}") for split in many) <= 1


def test_a_worker_works_at_several_at_once_up_to_the_accounts_cap(workers: Workers) -> None:
    workers.enqueue("split_endless_1", "split_endless_2", "split_endless_3")
    workers.enqueue("split_endless_4", account=1)
    workers.start(concurrency=4)
    for number in (1, 2, 4):
        workers.wait_for(f"begin split_endless_{number}")
    time.sleep(1)
    assert workers.row("split_endless_3").status == "queued"  # two of an account is the most


def test_a_killed_workers_split_goes_to_another(workers: Workers) -> None:
    first = workers.start()
    workers.enqueue("split_held")
    workers.wait_for("begin split_held")
    workers.kill(first)
    workers.go_on()
    workers.start()
    workers.wait(lambda: workers.ended("split_held"))
    assert workers.count("begin split_held") == 2
    assert workers.row("split_held").attempts == 2


def test_a_living_workers_split_stays_with_it(workers: Workers) -> None:
    first = workers.start()
    workers.enqueue("split_endless")
    workers.wait_for("begin split_endless")
    workers.start()
    for _ in range(3):
        begun = now()
        workers.wait(lambda begun=begun: workers.heard(first) > begun)  # type: ignore[misc]
    time.sleep(1)
    assert workers.count("begin split_endless") == 1


def test_a_split_that_can_finish_does_so_before_the_worker_ends(workers: Workers) -> None:
    process = workers.start()
    workers.enqueue("split_held")
    workers.wait_for("begin split_held")
    workers.enqueue("split_1")
    process.terminate()
    workers.wait_for("stopping")
    workers.go_on()
    assert process.wait(LIMIT_S) == 0
    assert workers.ended("split_held")
    assert workers.row("split_1").status == "queued"


def test_a_split_that_cannot_is_handed_back_at_once(workers: Workers) -> None:
    process = workers.start(stop_seconds=0.2)
    workers.enqueue("split_endless")
    workers.wait_for("begin split_endless")
    process.terminate()
    process.terminate()  # a second signal changes nothing
    assert process.wait(LIMIT_S) == 0
    assert workers.count("back split_endless") == 1
    split = workers.row("split_endless")
    assert (split.status, split.attempts, split.worker_id) == ("queued", 0, None)
    workers.start()
    workers.wait_for("begin split_endless", 2)  # though the lease is far from over


def test_a_worker_that_slept_does_not_end_the_split_that_was_taken_from_it(workers: Workers) -> None:
    first = workers.start()
    workers.enqueue("split_held")
    workers.wait_for("begin split_held")
    workers.freeze(first)
    workers.silence(first)
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
@pytest.mark.skipif(bool(OTHER_POSTGRES), reason="another's server is not for us to stop")
def test_a_database_that_is_away_for_a_while_costs_nobody_anything(
    workers: Workers, own_postgres: Postgres | None
) -> None:
    assert own_postgres is not None
    both = [workers.start() for _ in range(2)]
    workers.enqueue("split_held")
    workers.wait_for("begin split_held")
    own_postgres.stop()
    for process in both:
        workers.wait_for(f"away {process.pid}")
    # for longer than a lease, and than the separation takes
    (workers.folder / "ahead").write_text(str(2 * LEASE_S))
    workers.go_on()
    workers.wait_for("end split_held")
    own_postgres.start()
    workers.wait(lambda: workers.ended("split_held"))
    assert (workers.row("split_held").attempts, workers.count("begin split_held")) == (1, 1)
    workers.enqueue("split_1", "split_2")
    workers.wait(lambda: workers.ended("split_1") and workers.ended("split_2"))
    assert workers.entries("split_held") == ["hold", "settle"]


class Faulty:
    """Jobs whose surroundings fail: what is taken, and recovered, is written down."""

    def __init__(self, failures: int) -> None:
        self._failures = failures
        self.done: list[str] = []
        self.living: list[Collection[str]] = []

    def models(self) -> Sequence[str]:
        return ["one"] if not self.done else ["one", "two"]

    def take(self, worker_id: str) -> str | None:
        self._failures -= 1
        if self._failures >= 0:
            raise OSError("the database is away")
        return None if self.done else worker_id

    def process(self, job: str, abort: threading.Event) -> None:
        self.done.append(job)
        raise OSError("the database is away again")

    def recover(self, worker_id: str) -> None:
        pass

    def reap(self, living: Callable[[], Collection[str]]) -> None:
        self.living.append(living())

    def hand_back(self, worker_id: str) -> None:
        self.done.append("handed back")


def test_a_worker_whose_surroundings_fail_goes_on(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And tells which models it takes when they change."""
    monkeypatch.setattr(heartbeat, "BEATS_PER_LEASE", LEASE_S / LOOK_SECONDS)
    monkeypatch.setattr("stemsplitter.worker.backoff.SECONDS", (0.01,))
    ends: list[int] = []

    class Ended(Exception):
        pass

    def end(code: int) -> None:
        ends.append(code)
        raise Ended

    monkeypatch.setattr("os._exit", end)
    monkeypatch.setattr("logging.shutdown", lambda: None)
    settings = Settings(data_dir=tmp_path, database_url=database.url, lease_seconds=LEASE_S, stop_seconds=0)
    services, jobs, stop = Services(settings), Faulty(3), threading.Event()
    heart = services.heartbeat(WORKER, jobs.models())
    monkeypatch.setattr(heart, "living", lambda: ["wrk_other"])
    worker = Worker(heart, settings, jobs, Deliveries(database, services.webhooks))

    def look() -> None:
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            with database.read() as session:
                rows = session.scalars(select(WorkerRow)).all()
            if jobs.done and jobs.living and [row.models for row in rows] == [["one", "two"]]:
                break
            time.sleep(0.05)
        stop.set()

    threading.Thread(target=look).start()
    with pytest.raises(Ended):
        worker.run(stop)
    services.close()
    (taken, handed_back) = jobs.done
    assert (handed_back, ends) == ("handed back", [0])
    assert jobs.living[0] == {taken, "wrk_other"}  # itself, however late its own heart is
    with database.read() as session:
        (row,) = session.scalars(select(WorkerRow))
    assert (row.id, row.state, row.models) == (taken, "stopped", ["one", "two"])
