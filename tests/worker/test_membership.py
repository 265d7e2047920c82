"""Which processes can be beside each other, on one database."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from stemsplitter import __version__
from stemsplitter.clock import now
from stemsplitter.database import Database
from stemsplitter.errors import SettingsError
from stemsplitter.worker import heartbeat
from stemsplitter.worker.heartbeat import Heartbeat
from stemsplitter.worker.membership import API, WORKER, Mark, mark
from stemsplitter.worker.models import Worker

KEY, OTHER_KEY = b"0123456789abcdef0123456789abcdef", b"fedcba9876543210fedcba9876543210"
BUCKET, FOLDER = "s3://stems", "file:///srv/files"
LEASE = 1.5
# of who looks whether others live: on a busy machine their hearts are late
PATIENT = 60.0
LIMIT_S = 60.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hearts beat, and are looked at, so often that a long lease costs no time."""
    monkeypatch.setattr(heartbeat, "BEATS_PER_LEASE", 30)


@pytest.fixture
def beating(database: Database) -> Iterator[Heartbeat]:
    """An API that lives."""
    with Heartbeat(database, LEASE, mark(API, BUCKET, KEY)) as heart:
        yield heart


@contextmanager
def elsewhere(database: Database, own: Mark) -> Iterator[None]:
    """A process that lives on another host."""
    with Heartbeat(database, 600, own) as heart:
        mine, over = update(Worker).where(Worker.id == heart.worker_id), threading.Event()

        def beat() -> None:
            while not over.is_set():
                with database.write() as session:
                    session.execute(mine.values(heartbeat_at=now(), host="another"))
                told.set()
                over.wait(0.1)

        told = threading.Event()
        thread = threading.Thread(target=beat)
        thread.start()
        assert told.wait(LIMIT_S)
        try:
            yield
        finally:
            over.set()
            thread.join()


def change(database: Database, **values: object) -> None:
    """Change all rows."""
    with database.write() as session:
        session.execute(update(Worker).values(**values))


def start(database: Database, own: Mark, lease: float = PATIENT) -> None:
    with Heartbeat(database, lease, own):
        pass


def test_a_process_tells_of_itself(database: Database, beating: Heartbeat) -> None:
    with database.read() as session:
        row = session.get_one(Worker, beating.worker_id)
    assert (row.role, row.version, row.models, row.device) == (API, __version__, [], "")
    assert row.id.startswith("api_")


def test_fingerprints_tell_nothing_and_differ(beating: Heartbeat) -> None:
    own = mark(WORKER, "s3://secret-bucket", KEY)
    for fingerprint in (own.storage, own.secret):
        assert len(fingerprint) == 32 and "secret-bucket" not in fingerprint and KEY.hex() != fingerprint
    assert own.storage != own.secret
    assert own.secret == mark(API, BUCKET, KEY).secret != mark(API, BUCKET, OTHER_KEY).secret
    assert own.storage != mark(WORKER, BUCKET, KEY).storage
    assert mark(WORKER, f"{BUCKET}/", KEY) == mark(WORKER, BUCKET, KEY)


def test_processes_that_share_everything_fit(database: Database, beating: Heartbeat) -> None:
    start(database, mark(WORKER, BUCKET, KEY))
    start(database, mark(API, BUCKET, KEY))


def test_another_secret_key_is_refused(database: Database, beating: Heartbeat) -> None:
    with pytest.raises(
        SettingsError, match="with another secret key: give all processes the same STEMSPLITTER_S"
    ):
        start(database, mark(WORKER, BUCKET, OTHER_KEY))


def test_another_store_is_refused(database: Database, beating: Heartbeat) -> None:
    with pytest.raises(
        SettingsError, match=r"an API of this server on .* with another store of files: give all"
    ):
        start(database, mark(WORKER, "s3://other", KEY))


def test_a_refused_process_leaves_no_row(database: Database, beating: Heartbeat) -> None:
    with pytest.raises(SettingsError):
        start(database, mark(WORKER, "s3://other", KEY))
    with database.read() as session:
        assert session.query(Worker.id).all() == [(beating.worker_id,)]


def test_another_host_needs_postgresql(database: Database) -> None:
    with elsewhere(database, mark(API, BUCKET, KEY)):
        if database.is_sqlite:
            with pytest.raises(
                SettingsError, match="an API of this server on another, and a SQLite database"
            ):
                start(database, mark(WORKER, BUCKET, KEY))
        else:
            start(database, mark(WORKER, BUCKET, KEY))


def test_another_host_needs_s3(database: Database) -> None:
    with elsewhere(database, mark(WORKER, FOLDER, KEY)):
        expected = (
            "SQLite database" if database.is_sqlite else "files in a folder are there for one host only"
        )
        with pytest.raises(SettingsError, match=f"a worker of this server on another, and .*{expected}"):
            start(database, mark(API, FOLDER, KEY))


def test_processes_on_one_host_may_have_a_folder(database: Database) -> None:
    with Heartbeat(database, LEASE, mark(WORKER, FOLDER, KEY)):
        start(database, mark(API, FOLDER, KEY))


def test_a_host_that_is_renamed_stays_one_host(database: Database, beating: Heartbeat) -> None:
    """As a laptop is in another network."""
    change(database, host="before")
    start(database, mark(API, BUCKET, KEY))


def test_a_process_of_the_version_before_is_judged_by_its_host_alone(database: Database) -> None:
    nothing = {"storage": None, "secret": None, "version": None}
    with Heartbeat(database, LEASE, mark(API, BUCKET, KEY)):
        change(database, **nothing)
        start(database, mark(WORKER, FOLDER, OTHER_KEY))
    change(database, state="stopped")
    with elsewhere(database, mark(API, BUCKET, KEY)):
        change(database, **nothing)
        with pytest.raises(SettingsError, match="an API of this server on another"):
            start(database, mark(WORKER, FOLDER, OTHER_KEY))


@pytest.mark.parametrize("dead", [{"state": "stopped"}, {"heartbeat_at": now() - timedelta(minutes=5)}])
def test_who_has_ended_hinders_nobody(
    database: Database, dead: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger=heartbeat.__name__)
    start(database, mark(WORKER, FOLDER, OTHER_KEY))
    change(database, **{"state": "working", "host": "another", **dead})
    start(database, mark(WORKER, FOLDER, KEY))
    assert not caplog.messages  # nothing was waited for


def test_a_restart_on_the_same_host_waits_for_nothing(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """The one before was killed: its row says that it works, and it was heard of just now."""
    caplog.set_level(logging.INFO, logger=heartbeat.__name__)
    start(database, mark(WORKER, FOLDER, KEY))
    change(database, state="working", heartbeat_at=now())
    start(database, mark(WORKER, FOLDER, KEY))
    assert not caplog.messages


def test_a_dead_process_that_did_not_fit_is_waited_out(database: Database) -> None:
    """It was killed because its secret key was wrong, or its container was made anew under another name."""
    start(database, mark(WORKER, FOLDER, OTHER_KEY))
    change(database, state="working", heartbeat_at=(heard := now()), host="another")
    start(database, mark(WORKER, BUCKET, KEY), LEASE)
    assert now() - heard >= timedelta(seconds=LEASE)


def test_who_looks_late_does_not_take_the_dead_for_living(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a host that is frozen for longer than two leases in the midst of its look."""
    start(database, mark(WORKER, FOLDER, OTHER_KEY))
    change(database, state="working", heartbeat_at=now(), host="another")
    late, living = iter([3 * PATIENT]), heartbeat.living_processes

    def look(session: Session, lease: timedelta) -> list[str]:
        found = living(session, lease)
        if late_by := next(late, 0):
            monkeypatch.setattr(
                heartbeat, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + late_by)
            )
            session.execute(update(Worker).values(heartbeat_at=now() - timedelta(seconds=late_by)))
        return found

    monkeypatch.setattr(heartbeat, "living_processes", look)
    start(database, mark(WORKER, BUCKET, KEY))


def test_of_two_that_do_not_fit_and_start_at_once_one_comes_in(database: Database) -> None:
    refused: list[str] = []
    hearts = [Heartbeat(database, PATIENT, mark(WORKER, BUCKET, key)) for key in (KEY, OTHER_KEY)]

    def begin(heart: Heartbeat) -> None:
        try:
            heart.start()
        except SettingsError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=begin, args=(heart,)) for heart in hearts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=2 * LIMIT_S)
    assert len(refused) == 1 and "another secret key" in refused[0]
    with database.read() as session:
        [(entered,)] = session.query(Worker.id).all()
    next(heart for heart in hearts if heart.worker_id == entered).stop()
