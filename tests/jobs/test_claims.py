"""Splits as jobs: requeued when a worker dies or the database fails at the wrong moment."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from stemsplitter.accounts.models import Account
from stemsplitter.database import Database
from stemsplitter.errors import ModelError
from stemsplitter.jobs import claims as jobs_module
from stemsplitter.jobs import queue
from stemsplitter.jobs.claims import Jobs
from stemsplitter.quotas.disk import Disk
from stemsplitter.splits.models import Split
from tests.splits.rows import MODEL, new_split

Add = Callable[..., str]


@pytest.fixture
def add(database: Database) -> Add:
    with database.write() as session:
        session.add(Account(id="acc_1", email="a@example.org"))

    def make(**values: Any) -> str:
        with database.write() as session:
            split = new_split("acc_1", **values)
            queue.place(session, split)
            session.add(split)
        return split.id

    return make


def make_jobs(database: Database, models: Callable[[], list[str]] = lambda: [MODEL]) -> Jobs:
    return Jobs(database, None, models, 100, 5)  # type: ignore[arg-type]


def test_h2_no_split_is_claimed_while_the_disk_is_full(
    database: Database,
    add: Add,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", logger="stemsplitter")
    monkeypatch.setattr(jobs_module, "MODELS_SECONDS", 0)
    free = [10]
    disk = Disk([tmp_path], floor=11, free=lambda _: free[0])
    jobs = Jobs(database, None, lambda: [MODEL], 100, 5, disk.problem)  # type: ignore[arg-type]
    split_id = add()
    assert jobs.models() == [] and jobs.claim("wrk_1") is None and jobs.claim("wrk_1") is None
    assert row(database, split_id).status == "queued"
    assert (
        caplog.text.count("no jobs are claimed until this is solved: The disk of the server has 10 bytes")
        == 1
    )
    free[0] = 11
    claimed = jobs.claim("wrk_1")
    assert claimed is not None and claimed.id == split_id
    assert caplog.text.count("jobs are claimed again") == 1


def row(database: Database, split_id: str) -> Split:
    with database.read() as session:
        return session.get_one(Split, split_id)


def test_splits_of_a_dead_worker_are_requeued(database: Database, add: Add) -> None:
    first, second = add(), add()
    jobs = make_jobs(database)
    assert [split.id for name in ("wrk_1", "wrk_2") if (split := jobs.claim(name))] == [first, second]
    jobs.requeue_dead(lambda: ["wrk_2"])
    assert [row(database, split_id).status for split_id in (first, second)] == ["queued", "processing"]
    assert row(database, first).attempts == 1  # the attempt counts: the split may have killed its worker


def test_split_claimed_while_the_dead_are_requeued_stays_with_its_worker(
    database: Database, add: Add
) -> None:
    split_id = add()
    jobs = make_jobs(database)
    assert jobs.claim("wrk_1")

    def live_workers() -> list[str]:
        """Another worker claims the split before the live workers are read."""
        jobs.requeue_own("wrk_1")
        assert jobs.claim("wrk_2")
        return []

    jobs.requeue_dead(live_workers)
    assert (row(database, split_id).status, row(database, split_id).worker_id) == ("processing", "wrk_2")


def test_claim_whose_commit_was_not_confirmed_is_requeued(
    database: Database, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database commits the claim and closes the connection before it confirms."""
    lost, kept = add(), add()
    jobs = make_jobs(database)
    write = database.write

    @contextmanager
    def commit_and_disconnect() -> Iterator[Session]:
        with write() as session:
            yield session
        raise OperationalError("COMMIT", {}, Exception("the connection is gone"))

    with monkeypatch.context() as patch:
        patch.setattr(database, "write", commit_and_disconnect)
        with pytest.raises(OperationalError):
            jobs.claim("wrk_1")
    assert row(database, lost).status == "processing"
    claimed = jobs.claim("wrk_1")
    assert claimed is not None and claimed.id == kept
    jobs.requeue_lost("wrk_1")
    assert [row(database, split_id).status for split_id in (lost, kept)] == ["queued", "processing"]


def test_models_take_turns(database: Database, add: Add) -> None:
    for model in ("one", "two"):
        for _ in range(3):
            add(model_name=model, model={"name": model})
    jobs = make_jobs(database, lambda: ["one", "two"])
    order = [split.model_name for _ in range(6) if (split := jobs.claim("wrk_1"))]
    assert order == ["one", "two"] * 3


def test_installed_and_removed_models_are_noticed(
    database: Database, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "MODELS_SECONDS", 0.0)
    add()
    installed: list[str] = []
    jobs = make_jobs(database, lambda: installed)
    assert jobs.claim("wrk_1") is None
    installed.append(MODEL)
    assert jobs.claim("wrk_1") is not None
    installed.clear()
    assert jobs.models() == []


def test_models_are_unchanged_if_the_catalogue_is_unreadable(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "MODELS_SECONDS", 0.0)
    results: list[list[str]] = [[MODEL]]

    def find() -> list[str]:
        if results:
            return results.pop()
        raise ModelError("The record is damaged.")

    jobs = make_jobs(database, find)
    assert [list(jobs.models()) for _ in range(2)] == [[MODEL], [MODEL]]


def test_stopped_worker_requeues_its_splits(database: Database, add: Add) -> None:
    for _ in range(3):
        add()
    jobs = make_jobs(database)
    for name in ("wrk_1", "wrk_1", "wrk_2"):
        assert jobs.claim(name)
    jobs.requeue_own("wrk_1")
    with database.read() as session:
        owners = session.scalars(select(Split.worker_id).order_by(Split.id)).all()
    assert sorted(owners, key=str) == [None, None, "wrk_2"]
