"""Which workers live, and who of them leads."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from stemsplitter.database import Database, now
from stemsplitter.errors import SettingsError
from stemsplitter.jobs.heartbeat import Heartbeat, check_one_host, known_workers
from stemsplitter.jobs.models import Worker


def heart(database: Database, lease: float = 60) -> Heartbeat:
    made = Heartbeat(database, lease, ["tiny"], "auto")
    made.start()
    return made


def change(database: Database, worker_id: str, **values: object) -> None:
    with database.write() as session:
        session.execute(update(Worker).where(Worker.id == worker_id).values(**values))


def test_the_eldest_that_lives_leads(database: Database) -> None:
    hearts = [heart(database) for _ in range(3)]
    eldest, second, third = sorted(hearts, key=lambda each: each.worker_id)
    assert [each.leads() for each in (eldest, second, third)] == [True, False, False]
    change(database, eldest.worker_id, heartbeat_at=now() - timedelta(seconds=61))  # it was silent
    assert [each.leads() for each in (eldest, second, third)] == [False, True, False]
    second.stop()
    assert third.leads()
    assert third.living() == [third.worker_id]
    for each in (eldest, third):
        each.stop()
    assert third.living() == []


def test_a_heart_beats(database: Database) -> None:
    beating = heart(database, lease=0.3)
    change(database, beating.worker_id, heartbeat_at=now() - timedelta(days=1))
    beating._stopped.wait(0.5)
    assert beating.living() == [beating.worker_id]
    beating.stop()


def test_workers_are_forgotten_a_day_after_their_end(database: Database) -> None:
    old, young = heart(database), heart(database)
    for each in (old, young):
        each.stop()
    change(database, old.worker_id, heartbeat_at=now() - timedelta(days=2))
    young.forget_dead()
    with database.read() as session:
        assert session.query(Worker.id).all() == [(young.worker_id,)]


def test_sqlite_is_for_one_host(database: Database) -> None:
    other = heart(database)
    check_one_host(database, 60)
    change(database, other.worker_id, host="another")
    if database.is_sqlite:
        with pytest.raises(SettingsError, match="A worker on another uses this SQLite database"):
            check_one_host(database, 60)
    else:
        check_one_host(database, 60)
    other.stop()
    check_one_host(database, 60)


def test_all_workers_are_known_the_latest_first(database: Database) -> None:
    silent, stopped, alive = heart(database), heart(database), heart(database)
    stopped.stop()
    change(database, silent.worker_id, heartbeat_at=now() - timedelta(hours=1))
    change(database, alive.worker_id, heartbeat_at=now() + timedelta(seconds=1))
    with database.read() as session:
        assert [worker.id for worker in known_workers(session)] == [
            alive.worker_id,
            stopped.worker_id,
            silent.worker_id,
        ]
    for each in (silent, alive):
        each.stop()
