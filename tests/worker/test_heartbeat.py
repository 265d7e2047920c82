"""Live processes, and the leader of the workers."""

import time
from datetime import timedelta

import pytest
from sqlalchemy import delete, update

from stemsplitter.clock import now
from stemsplitter.database import Database
from stemsplitter.worker import heartbeat
from stemsplitter.worker.heartbeat import (
    Heartbeat,
    all_processes,
    live_processes,
    live_workers,
)
from stemsplitter.worker.membership import API, WORKER, identity
from stemsplitter.worker.models import Worker

KEY = b"0123456789abcdef0123456789abcdef"
LIMIT_S = 60.0
LEASE = 600.0  # heartbeats are late on a busy host


def start(database: Database, lease: float = LEASE, role: str = WORKER) -> Heartbeat:
    made = Heartbeat(database, lease, identity(role, "file:///srv/files", KEY), ["tiny"], "auto")
    made.start()
    return made


def change(database: Database, worker_id: str, **values: object) -> None:
    with database.write() as session:
        session.execute(update(Worker).where(Worker.id == worker_id).values(**values))


def test_oldest_live_worker_is_the_leader(database: Database) -> None:
    workers = [start(database) for _ in range(3)]
    oldest, second, third = sorted(workers, key=lambda each: each.worker_id)
    assert [each.is_leader() for each in (oldest, second, third)] == [True, False, False]
    change(
        database, oldest.worker_id, heartbeat_at=now() - timedelta(seconds=LEASE + 1)
    )  # no heartbeat for a lease
    assert [each.is_leader() for each in (oldest, second, third)] == [False, True, False]
    second.stop()
    assert third.is_leader()
    assert third.live_workers() == [third.worker_id]
    for each in (oldest, third):
        each.stop()
    assert third.live_workers() == []


def test_each_version_has_its_leader(database: Database) -> None:
    before, after = start(database), start(database)
    assert before.is_leader() and not after.is_leader()
    change(database, before.worker_id, version="0.0.1")
    assert after.is_leader()
    assert after.live_workers() == [before.worker_id, after.worker_id]
    before.stop()
    after.stop()


def test_live_api_is_not_a_worker(database: Database) -> None:
    api, worker = start(database, role=API), start(database)
    assert worker.live_workers() == [worker.worker_id] and worker.is_leader() and not api.is_leader()
    with database.read() as session:
        assert live_workers(session, timedelta(seconds=LEASE)) == [worker.worker_id]
        assert set(live_processes(session, timedelta(seconds=LEASE))) == {api.worker_id, worker.worker_id}
    for each in (api, worker):
        each.stop()


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heartbeats are written ten times a second."""
    monkeypatch.setattr(heartbeat, "HEARTBEATS_PER_LEASE", 10 * LEASE)


@pytest.mark.usefixtures("often")
def test_heartbeat_is_renewed(database: Database) -> None:
    process = start(database)
    change(database, process.worker_id, heartbeat_at=now() - timedelta(days=1))
    wait_until_live(process)
    process.stop()


@pytest.mark.usefixtures("often")
def test_process_whose_row_was_deleted_adds_it_again(database: Database) -> None:
    """As after a laptop was suspended for a day: without the row there would be no leader."""
    process = start(database)
    with database.write() as session:
        session.execute(delete(Worker))
    wait_until_live(process)
    process.stop()


def wait_until_live(process: Heartbeat) -> None:
    end = time.monotonic() + LIMIT_S
    while process.live_workers() != [process.worker_id]:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_dead_processes_are_deleted_after_a_day(database: Database) -> None:
    old, young = start(database), start(database)
    for each in (old, young):
        each.stop()
    change(database, old.worker_id, heartbeat_at=now() - timedelta(days=2))
    young.delete_dead()
    with database.read() as session:
        assert session.query(Worker.id).all() == [(young.worker_id,)]


def test_processes_are_listed_by_latest_heartbeat(database: Database) -> None:
    silent, stopped, alive = start(database), start(database, role=API), start(database)
    stopped.stop()
    change(database, silent.worker_id, heartbeat_at=now() - timedelta(hours=1))
    change(database, alive.worker_id, heartbeat_at=now() + timedelta(seconds=1))
    with database.read() as session:
        assert [process.id for process in all_processes(session)] == [
            alive.worker_id,
            stopped.worker_id,
            silent.worker_id,
        ]
    for each in (silent, alive):
        each.stop()
