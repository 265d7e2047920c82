"""Membership: processes on one database that conflict are refused."""

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
from stemsplitter.worker.membership import API, WORKER, Identity, identity
from stemsplitter.worker.models import Worker

KEY, OTHER_KEY = b"0123456789abcdef0123456789abcdef", b"fedcba9876543210fedcba9876543210"
BUCKET, FOLDER = "s3://stems", "file:///srv/files"
LEASE = 1.5
# lease of the process that joins: heartbeats are late on a busy host
LONG_LEASE = 60.0
LIMIT_S = 60.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write and check heartbeats so often that a long lease costs no time."""
    monkeypatch.setattr(heartbeat, "HEARTBEATS_PER_LEASE", 30)


@pytest.fixture
def live_api(database: Database) -> Iterator[Heartbeat]:
    """A live API."""
    with Heartbeat(database, LEASE, identity(API, BUCKET, KEY)) as heartbeat_:
        yield heartbeat_


@contextmanager
def elsewhere(database: Database, own: Identity) -> Iterator[None]:
    """Run a live process on another host."""
    with Heartbeat(database, 600, own) as heartbeat_:
        mine, over = update(Worker).where(Worker.id == heartbeat_.worker_id), threading.Event()

        def write() -> None:
            while not over.is_set():
                with database.write() as session:
                    session.execute(mine.values(heartbeat_at=now(), host="another"))
                written.set()
                over.wait(0.1)

        written = threading.Event()
        thread = threading.Thread(target=write)
        thread.start()
        assert written.wait(LIMIT_S)
        try:
            yield
        finally:
            over.set()
            thread.join()


def change(database: Database, **values: object) -> None:
    """Change all rows."""
    with database.write() as session:
        session.execute(update(Worker).values(**values))


def start(database: Database, own: Identity, lease: float = LONG_LEASE) -> None:
    with Heartbeat(database, lease, own):
        pass


def test_process_publishes_its_identity(database: Database, live_api: Heartbeat) -> None:
    with database.read() as session:
        row = session.get_one(Worker, live_api.worker_id)
    assert (row.role, row.version, row.models, row.device) == (API, __version__, [], "")
    assert row.id.startswith("api_")


def test_fingerprints_reveal_nothing_and_differ(live_api: Heartbeat) -> None:
    own = identity(WORKER, "s3://secret-bucket", KEY)
    for fingerprint in (own.storage, own.secret):
        assert len(fingerprint) == 32 and "secret-bucket" not in fingerprint and KEY.hex() != fingerprint
    assert own.storage != own.secret
    assert own.secret == identity(API, BUCKET, KEY).secret != identity(API, BUCKET, OTHER_KEY).secret
    assert own.storage != identity(WORKER, BUCKET, KEY).storage
    assert identity(WORKER, f"{BUCKET}/", KEY) == identity(WORKER, BUCKET, KEY)


def test_processes_with_the_same_storage_and_key_join(database: Database, live_api: Heartbeat) -> None:
    start(database, identity(WORKER, BUCKET, KEY))
    start(database, identity(API, BUCKET, KEY))


def test_different_secret_key_is_refused(database: Database, live_api: Heartbeat) -> None:
    with pytest.raises(
        SettingsError, match="with a different secret key: set STEMSPLITTER_SECRET_KEY to the same"
    ):
        start(database, identity(WORKER, BUCKET, OTHER_KEY))


def test_different_storage_is_refused(database: Database, live_api: Heartbeat) -> None:
    with pytest.raises(
        SettingsError,
        match=r"an API of this server on .* with a different file storage: set STEMSPLITTER_STORAGE_URL",
    ):
        start(database, identity(WORKER, "s3://other", KEY))


def test_refused_process_adds_no_row(database: Database, live_api: Heartbeat) -> None:
    with pytest.raises(SettingsError):
        start(database, identity(WORKER, "s3://other", KEY))
    with database.read() as session:
        assert session.query(Worker.id).all() == [(live_api.worker_id,)]


def test_another_host_needs_postgresql(database: Database) -> None:
    with elsewhere(database, identity(API, BUCKET, KEY)):
        if database.is_sqlite:
            with pytest.raises(
                SettingsError, match="an API of this server on another, but a SQLite database"
            ):
                start(database, identity(WORKER, BUCKET, KEY))
        else:
            start(database, identity(WORKER, BUCKET, KEY))


def test_another_host_needs_s3(database: Database) -> None:
    with elsewhere(database, identity(WORKER, FOLDER, KEY)):
        expected = (
            "SQLite database" if database.is_sqlite else "files in a folder are available on one host only"
        )
        with pytest.raises(SettingsError, match=f"a worker of this server on another, but .*{expected}"):
            start(database, identity(API, FOLDER, KEY))


def test_processes_on_one_host_may_use_a_folder(database: Database) -> None:
    with Heartbeat(database, LEASE, identity(WORKER, FOLDER, KEY)):
        start(database, identity(API, FOLDER, KEY))


def test_renamed_host_is_not_another_host(database: Database, live_api: Heartbeat) -> None:
    """As a laptop is renamed by another network."""
    change(database, host="before")
    start(database, identity(API, BUCKET, KEY))


@pytest.mark.parametrize("dead", [{"state": "stopped"}, {"heartbeat_at": now() - timedelta(minutes=5)}])
def test_dead_process_conflicts_with_none(
    database: Database, dead: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger=heartbeat.__name__)
    start(database, identity(WORKER, FOLDER, OTHER_KEY))
    change(database, **{"state": "working", "host": "another", **dead})
    start(database, identity(WORKER, FOLDER, KEY))
    assert not caplog.messages  # did not wait


def test_restart_on_the_same_host_does_not_wait(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    """The previous process was killed: its row is live, with a recent heartbeat."""
    caplog.set_level(logging.INFO, logger=heartbeat.__name__)
    start(database, identity(WORKER, FOLDER, KEY))
    change(database, state="working", heartbeat_at=now())
    start(database, identity(WORKER, FOLDER, KEY))
    assert not caplog.messages


def test_lease_of_a_dead_conflicting_process_is_awaited(database: Database) -> None:
    """It was killed because its secret key was wrong, or its container was recreated with another name."""
    start(database, identity(WORKER, FOLDER, OTHER_KEY))
    change(database, state="working", heartbeat_at=(heartbeat_at := now()), host="another")
    start(database, identity(WORKER, BUCKET, KEY), LEASE)
    assert now() - heartbeat_at >= timedelta(seconds=LEASE)


def test_late_check_does_not_count_a_dead_process_as_live(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a host that is suspended for longer than two leases during the check."""
    start(database, identity(WORKER, FOLDER, OTHER_KEY))
    change(database, state="working", heartbeat_at=now(), host="another")
    late, live_processes = iter([3 * LONG_LEASE]), heartbeat.live_processes

    def check(session: Session, lease: timedelta) -> list[str]:
        found = live_processes(session, lease)
        if late_by := next(late, 0):
            monkeypatch.setattr(
                heartbeat, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + late_by)
            )
            session.execute(update(Worker).values(heartbeat_at=now() - timedelta(seconds=late_by)))
        return found

    monkeypatch.setattr(heartbeat, "live_processes", check)
    start(database, identity(WORKER, BUCKET, KEY))


def test_one_of_two_concurrent_conflicting_processes_joins(database: Database) -> None:
    refused: list[str] = []
    heartbeats = [Heartbeat(database, LONG_LEASE, identity(WORKER, BUCKET, key)) for key in (KEY, OTHER_KEY)]

    def begin(own: Heartbeat) -> None:
        try:
            own.start()
        except SettingsError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=begin, args=(own,)) for own in heartbeats]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=2 * LIMIT_S)
    assert len(refused) == 1 and "a different secret key" in refused[0]
    with database.read() as session:
        [(joined,)] = session.query(Worker.id).all()
    next(own for own in heartbeats if own.worker_id == joined).stop()
