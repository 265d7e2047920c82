"""A version before beside this one: what it writes is done, and what this one writes does not trouble it."""

import socket
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

from stemsplitter.clock import now
from stemsplitter.database import Database, new_id
from stemsplitter.migrations.upgrade import configuration, upgrade
from stemsplitter.services import Services
from stemsplitter.splits.jobs import SplitWork
from stemsplitter.splits.maintenance import SplitChores
from stemsplitter.splits.processing import SplitProcessor
from stemsplitter.worker.heartbeat import living_workers

from .conftest import MODEL, Create
from .test_processing import FakePool

BEFORE = "0004"
SECONDS = 3


class Version:
    """The version before: it knows the tables and columns of its own, and no others."""

    def __init__(self, database: Database) -> None:
        with database.engine.begin() as connection:
            command.upgrade(configuration(connection), BEFORE)
        self._database = database
        self._known = sa.MetaData()
        self._known.reflect(database.engine)

    def insert(self, table: str, **values: Any) -> str:
        """Add a row with a value in each column that may not be empty."""
        known = self._known.tables[table]
        assert {column.name for column in known.columns if not column.nullable} <= {*values, "id"}
        row = {"id": new_id("old"), **values}
        with self._database.write() as session:
            session.execute(known.insert().values(row))
        return str(row["id"])

    def update(self, table: str, row_id: str, **values: Any) -> None:
        known = self._known.tables[table]
        with self._database.write() as session:
            session.execute(known.update().where(known.c.id == row_id).values(values))

    def select(self, table: str, row_id: str) -> dict[str, Any]:
        known = self._known.tables[table]
        with self._database.read() as session:
            return dict(session.execute(known.select().where(known.c.id == row_id)).mappings().one())

    def split(self, account: str, source: str) -> str:
        """A split as its API makes one: row and hold."""
        at = milliseconds()
        split_id = self.insert(
            "splits", account_id=account, status="queued", stem_model="4s", requested_stems=["vocals"],
            output_format="mp3", filename="Lied.flac", duration_seconds=SECONDS, credits_used=SECONDS, progress=0,
            source_key=source, source_bytes=6, model={"name": MODEL, "licence": "MIT"}, metadata={},
            webhook_url="http://127.0.0.1:9/", attempts=0, created_at=at, updated_at=at, expires_at=at + 10**9,
        )  # fmt: skip
        self.insert(
            "ledger_entries", account_id=account, kind="hold", amount=-SECONDS, split_id=split_id, note="",
            created_at=at,
        )  # fmt: skip
        return split_id

    def worker(self) -> str:
        at = milliseconds()
        return self.insert(
            "workers", host="old", pid=1, started_at=at, heartbeat_at=at, models=[MODEL], device="cpu", state="working"
        )  # fmt: skip

    def delivery(self, account: str) -> str:
        at = milliseconds()
        event = self.insert(
            "webhook_events", account_id=account, kind="webhook.test", payload="{}", url="http://127.0.0.1:9/",
            created_at=at,
        )  # fmt: skip
        return self.insert(
            "webhook_deliveries", event_id=event, account_id=account, status="pending", attempts=0,
            next_attempt_at=at, created_at=at, updated_at=at,
        )  # fmt: skip


def milliseconds() -> int:
    return round(now().timestamp() * 1000)


@pytest.fixture
def database(empty_database: Callable[[], Database]) -> Database:
    return empty_database()


@pytest.fixture
def before(database: Database) -> Version:
    """The version before, which has made the tables."""
    return Version(database)


@pytest.fixture
def account(before: Version) -> str:
    return before.insert(
        "accounts", email="old@example.com", name="", balance=100, role="user", created_at=milliseconds()
    )


@pytest.fixture
def source(services: Services) -> str:
    services.storage.put_stream("splits/old/source.flac", [b"a song"], "audio/flac")
    return "splits/old/source.flac"


def process_all(services: Services) -> None:
    """What a worker of this version does until nothing waits."""
    processor = SplitProcessor(
        services.database,
        services.settings,
        services.storage,
        services.splits.endings,
        FakePool(),  # type: ignore[arg-type]
    )
    SplitChores(services.database, services.storage, services.splits).place()
    work = SplitWork(services.database, processor, lambda: [MODEL], 100)
    while (split := work.take("wrk_1")) is not None:
        work.process(split, threading.Event())


def test_splits_of_the_version_before_are_processed(
    services: Services, before: Version, account: str, source: str, ledger: Callable[[str], Any]
) -> None:
    """One waits from before the upgrade, one comes after it, from an API that has not been upgraded."""
    made = [before.split(account, source)]
    upgrade(services.database)
    made.append(before.split(account, source))
    process_all(services)
    for split_id in made:
        view = services.splits.get(account, split_id)
        assert (view.status, view.progress, list(view.stems or {})) == ("succeeded", 100, ["vocals"])
        assert ledger(split_id) == [("hold", -SECONDS), ("settle", 0)]


def test_the_version_before_reads_and_changes_what_this_one_writes(
    services: Services, before: Version, account: str, create: Create
) -> None:
    upgrade(services.database)
    split_id = create()
    seen = before.select("splits", split_id)
    assert (seen["status"], seen["model"]["name"], seen["duration_seconds"]) == ("queued", MODEL, 3)
    before.update("splits", split_id, status="processing", lease="run_old", attempts=1, progress=40)
    assert services.splits.get(account, split_id).progress == 40
    stems = {"vocals": {"key": f"splits/{split_id}/stems/vocals.mp3", "size": 1, "mime": "audio/mpeg"}}
    before.update("splits", split_id, status="succeeded", lease=None, stems=stems, progress=100)
    assert list(services.splits.get(account, split_id).stems or {}) == ["vocals"]


def test_processes_of_both_versions_see_each_other(services: Services, before: Version) -> None:
    upgrade(services.database)
    old = before.worker()
    before.update("workers", old, host=socket.gethostname())  # files in a folder are for one
    with services.heartbeat("worker", [MODEL], "cpu") as heart:
        with services.database.read() as session:
            assert set(living_workers(session, timedelta(seconds=30))) == {old, heart.worker_id}
        seen = before.select("workers", heart.worker_id)
        assert (seen["models"], seen["device"], seen["state"]) == ([MODEL], "cpu", "working")


def test_webhooks_of_the_version_before_are_due(services: Services, before: Version, account: str) -> None:
    upgrade(services.database)
    delivery = before.delivery(account)
    with services.database.write() as session:
        assert services.webhooks.due(session) == {delivery: account}
        assert list(services.webhooks.claim(session, [delivery])) == [delivery]
    assert services.webhooks.attempt(delivery) is None  # nobody listens, and a test is tried once
    assert before.select("webhook_deliveries", delivery)["status"] == "failed"
