"""Workers as processes: they take jobs, share them out, take over from the dead, and stop with grace."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stemsplitter.database import Database
from stemsplitter.jobs import JobQueue, migrate

PROGRAM = Path(__file__).with_name("worker_process.py")
LIMIT_S = 40.0


class Workers:
    """Worker processes on one database, and the log they write."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.log = folder / "log"
        self.log.touch()
        self.processes: list[subprocess.Popen[bytes]] = []
        migrate(database.url)
        self.queue = JobQueue(database.url)

    def start(self, *, lease: float = 2, stop_seconds: float = 5) -> subprocess.Popen[bytes]:
        before = self.count("start")
        command = [
            sys.executable,
            str(PROGRAM),
            self.database.url,
            str(self.log),
            str(lease),
            str(stop_seconds),
        ]
        process = subprocess.Popen(command)
        self.processes.append(process)
        self.wait(lambda: self.count("start") > before)
        return process

    def enqueue(self, *splits: str, account: str = "acc_1") -> None:
        for split in splits:
            with self.database.write() as session:
                self.queue.enqueue_split(session, split, account)

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
        self.queue.close()
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGCONT)
            process.kill()
            process.wait()


@pytest.fixture
def workers(database: Database, tmp_path: Path) -> Iterator[Workers]:
    workers = Workers(database, tmp_path)
    yield workers
    workers.close()


def test_jobs_are_done_once_and_deliveries_again_as_they_ask(workers: Workers) -> None:
    workers.enqueue("split_1", "split_2_broken")
    with workers.database.write() as session:
        workers.queue.enqueue_delivery(session, "dlv_1", "acc_1")
    workers.start()
    workers.wait_for("end split_1")
    workers.wait_for("end split_2_broken")
    workers.wait_for("attempt dlv_1", 3)
    workers.wait_for("chore")
    time.sleep(1)
    assert workers.count("begin split_1") == 1
    assert workers.count("begin split_2_broken") == 2  # the first time its disk was away
    assert workers.count("attempt dlv_1") == 3


def test_an_account_with_many_jobs_does_not_hold_up_another(workers: Workers) -> None:
    many = [f"split_half_{number}" for number in range(12)]
    workers.enqueue(*many)
    workers.enqueue("split_other", account="acc_2")
    workers.start()
    workers.wait_for("end split_other")
    # accounts are taken in random order: that the other waits for all twelve has a chance of 1 in 4096
    assert sum(workers.count(f"end {split}") for split in many) < 12


def test_a_killed_workers_job_goes_to_another(workers: Workers) -> None:
    first = workers.start()
    workers.enqueue("split_half")
    workers.wait_for("begin split_half")
    first.kill()
    workers.start()
    workers.wait_for("end split_half")
    assert workers.count("begin split_half") == 2


def test_a_living_workers_job_stays_with_it(workers: Workers) -> None:
    workers.start(lease=1)
    workers.enqueue("split_slow")
    workers.wait_for("begin split_slow")
    workers.start(lease=1)
    time.sleep(3)
    assert workers.count("begin split_slow") == 1


def test_a_job_that_can_finish_does_so_before_the_worker_ends(workers: Workers) -> None:
    process = workers.start(stop_seconds=10)
    workers.enqueue("split_half")
    workers.wait_for("begin split_half")
    workers.enqueue("split_1")
    process.terminate()
    assert process.wait(LIMIT_S) == 0
    assert workers.count("end split_half") == 1
    assert workers.count("begin split_1") == 0


def test_a_job_that_cannot_is_handed_back_at_once(workers: Workers) -> None:
    process = workers.start(lease=600, stop_seconds=0.2)
    workers.enqueue("split_slow")
    workers.wait_for("begin split_slow")
    process.terminate()
    assert process.wait(LIMIT_S) == 0
    assert workers.count("back split_slow") == 1
    workers.start(lease=600)
    workers.wait_for("begin split_slow", 2)  # though the lease is far from over


def test_a_worker_that_slept_does_not_end_the_job_that_was_taken_from_it(workers: Workers) -> None:
    first = workers.start()
    workers.enqueue("split_half")
    workers.wait_for("begin split_half")
    os.kill(first.pid, signal.SIGSTOP)
    workers.start()
    workers.wait_for("end split_half")
    os.kill(first.pid, signal.SIGCONT)
    workers.wait_for("end split_half", 2)  # its work is refused where it is recorded, by the split's lease
    workers.enqueue("split_1", "split_2")
    workers.wait_for("end split_1")
    workers.wait_for("end split_2")
