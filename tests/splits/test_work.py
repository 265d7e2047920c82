"""Splits as jobs: what becomes of them when a worker dies, or its surroundings fail at the wrong moment."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from stemsplitter.accounts.models import Account
from stemsplitter.clock import now
from stemsplitter.database import Database
from stemsplitter.errors import ModelError
from stemsplitter.splits import jobs as work
from stemsplitter.splits import queue
from stemsplitter.splits.jobs import SplitWork
from stemsplitter.splits.models import Split

from .rows import MODEL, new_split

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


def make_work(database: Database, models: Callable[[], list[str]] = lambda: [MODEL]) -> SplitWork:
    return SplitWork(database, None, models, 100)  # type: ignore[arg-type]


def row(database: Database, split_id: str) -> Split:
    with database.read() as session:
        return session.get_one(Split, split_id)


def test_what_a_dead_worker_has_waits_again(database: Database, add: Add) -> None:
    first, second = add(), add()
    jobs = make_work(database)
    assert [taken.id for name in ("wrk_1", "wrk_2") if (taken := jobs.take(name))] == [first, second]
    jobs.reap(lambda: ["wrk_2"])
    assert [row(database, split_id).status for split_id in (first, second)] == ["queued", "processing"]
    assert row(database, first).attempts == 1  # it counts: perhaps it was the split that killed its worker


def test_a_worker_that_begins_meanwhile_is_not_robbed(database: Database, add: Add) -> None:
    split_id = add()
    jobs = make_work(database)
    assert jobs.take("wrk_1")

    def living() -> list[str]:
        """While it is looked who lives, another worker has already taken over."""
        jobs.hand_back("wrk_1")
        assert jobs.take("wrk_2")
        return []

    jobs.reap(living)
    assert (row(database, split_id).status, row(database, split_id).worker_id) == ("processing", "wrk_2")


def test_a_run_that_names_no_worker_is_dead_when_it_was_silent_for_long(database: Database, add: Add) -> None:
    """As the version before this one runs them."""
    silent, alive = (add(status="processing", lease=f"run_{number}") for number in range(2))
    with database.write() as session:
        before = now() - work.SILENCE - timedelta(seconds=1)
        session.execute(update(Split).where(Split.id == silent).values(updated_at=before))
    make_work(database).reap(list)
    assert [row(database, split_id).status for split_id in (silent, alive)] == ["queued", "processing"]


def test_what_a_worker_took_without_knowing_it_waits_again(
    database: Database, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database took the claim and went away before it said so."""
    lost, kept = add(), add()
    jobs = make_work(database)
    write = database.write

    @contextmanager
    def commit_and_vanish() -> Iterator[Session]:
        with write() as session:
            yield session
        raise OperationalError("COMMIT", {}, Exception("the connection is gone"))

    with monkeypatch.context() as patch:
        patch.setattr(database, "write", commit_and_vanish)
        with pytest.raises(OperationalError):
            jobs.take("wrk_1")
    assert row(database, lost).status == "processing"
    taken = jobs.take("wrk_1")
    assert taken is not None and taken.id == kept
    jobs.recover("wrk_1")
    assert [row(database, split_id).status for split_id in (lost, kept)] == ["queued", "processing"]


def test_models_take_turns(database: Database, add: Add) -> None:
    for model in ("one", "two"):
        for _ in range(3):
            add(model_name=model, model={"name": model})
    jobs = make_work(database, lambda: ["one", "two"])
    order = [taken.model_name for _ in range(6) if (taken := jobs.take("wrk_1"))]
    assert order == ["one", "two"] * 3


def test_models_that_come_and_go_are_noticed(
    database: Database, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "LOOK_SECONDS", 0.0)
    add()
    there: list[str] = []
    jobs = make_work(database, lambda: there)
    assert jobs.take("wrk_1") is None
    there.append(MODEL)
    assert jobs.take("wrk_1") is not None
    there.clear()
    assert jobs.models() == []


def test_a_catalogue_that_cannot_be_read_changes_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "LOOK_SECONDS", 0.0)
    answers: list[list[str]] = [[MODEL]]

    def find() -> list[str]:
        if answers:
            return answers.pop()
        raise ModelError("The record is damaged.")

    jobs = make_work(database, find)
    assert [list(jobs.models()) for _ in range(2)] == [[MODEL], [MODEL]]


def test_a_worker_that_ends_has_nothing_left(database: Database, add: Add) -> None:
    for _ in range(3):
        add()
    jobs = make_work(database)
    for name in ("wrk_1", "wrk_1", "wrk_2"):
        assert jobs.take(name)
    jobs.hand_back("wrk_1")
    with database.read() as session:
        owners = session.scalars(select(Split.worker_id).order_by(Split.id)).all()
    assert sorted(owners, key=str) == [None, None, "wrk_2"]
