"""Which processes live, and which of the workers leads."""

import time
from datetime import timedelta

import pytest
from sqlalchemy import delete, update

from stemsplitter.clock import now
from stemsplitter.database import Database
from stemsplitter.worker import heartbeat
from stemsplitter.worker.heartbeat import (
    Heartbeat,
    hears_version_before,
    known_processes,
    living_processes,
    living_workers,
)
from stemsplitter.worker.membership import API, WORKER, mark
from stemsplitter.worker.models import Worker

KEY = b"0123456789abcdef0123456789abcdef"
LIMIT_S = 60.0
LEASE = 600.0  # on a busy machine hearts are late


def heart(database: Database, lease: float = LEASE, role: str = WORKER) -> Heartbeat:
    made = Heartbeat(database, lease, mark(role, "file:///srv/files", KEY), ["tiny"], "auto")
    made.start()
    return made


def change(database: Database, worker_id: str, **values: object) -> None:
    with database.write() as session:
        session.execute(update(Worker).where(Worker.id == worker_id).values(**values))


def test_the_eldest_that_lives_leads(database: Database) -> None:
    hearts = [heart(database) for _ in range(3)]
    eldest, second, third = sorted(hearts, key=lambda each: each.worker_id)
    assert [each.leads() for each in (eldest, second, third)] == [True, False, False]
    change(database, eldest.worker_id, heartbeat_at=now() - timedelta(seconds=LEASE + 1))  # it was silent
    assert [each.leads() for each in (eldest, second, third)] == [False, True, False]
    second.stop()
    assert third.leads()
    assert third.living() == [third.worker_id]
    for each in (eldest, third):
        each.stop()
    assert third.living() == []


def test_each_version_has_a_leader(database: Database) -> None:
    before, after = heart(database), heart(database)
    assert before.leads() and not after.leads()
    change(database, before.worker_id, version=None)
    assert after.leads()
    assert after.living() == [before.worker_id, after.worker_id]
    with database.read() as session:
        assert hears_version_before(session, now() - timedelta(seconds=LEASE))
    before.stop()
    with database.read() as session:
        assert not hears_version_before(session, now() - timedelta(seconds=LEASE))
    after.stop()


def test_an_api_lives_and_is_no_worker(database: Database) -> None:
    api, worker = heart(database, role=API), heart(database)
    assert worker.living() == [worker.worker_id] and worker.leads() and not api.leads()
    with database.read() as session:
        assert living_workers(session, timedelta(seconds=LEASE)) == [worker.worker_id]
        assert set(living_processes(session, timedelta(seconds=LEASE))) == {api.worker_id, worker.worker_id}
    for each in (api, worker):
        each.stop()


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A heart beats ten times a second."""
    monkeypatch.setattr(heartbeat, "BEATS_PER_LEASE", 10 * LEASE)


@pytest.mark.usefixtures("often")
def test_a_heart_beats(database: Database) -> None:
    beating = heart(database)
    change(database, beating.worker_id, heartbeat_at=now() - timedelta(days=1))
    wait_until_it_lives(beating)
    beating.stop()


@pytest.mark.usefixtures("often")
def test_a_process_that_was_forgotten_enters_again(database: Database) -> None:
    """As after a day of a laptop's sleep: without its row no worker would ever lead again."""
    beating = heart(database)
    with database.write() as session:
        session.execute(delete(Worker))
    wait_until_it_lives(beating)
    beating.stop()


def wait_until_it_lives(beating: Heartbeat) -> None:
    end = time.monotonic() + LIMIT_S
    while beating.living() != [beating.worker_id]:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_processes_are_forgotten_a_day_after_their_end(database: Database) -> None:
    old, young = heart(database), heart(database)
    for each in (old, young):
        each.stop()
    change(database, old.worker_id, heartbeat_at=now() - timedelta(days=2))
    young.forget_dead()
    with database.read() as session:
        assert session.query(Worker.id).all() == [(young.worker_id,)]


def test_all_processes_are_known_the_latest_first(database: Database) -> None:
    silent, stopped, alive = heart(database), heart(database, role=API), heart(database)
    stopped.stop()
    change(database, silent.worker_id, heartbeat_at=now() - timedelta(hours=1))
    change(database, alive.worker_id, heartbeat_at=now() + timedelta(seconds=1))
    with database.read() as session:
        assert [process.id for process in known_processes(session)] == [
            alive.worker_id,
            stopped.worker_id,
            silent.worker_id,
        ]
    for each in (silent, alive):
        each.stop()
