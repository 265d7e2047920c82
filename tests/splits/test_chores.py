"""What is done regularly."""

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from stemsplitter.clock import now
from stemsplitter.services import Services
from stemsplitter.splits import queue
from stemsplitter.splits.maintenance import SplitChores
from stemsplitter.splits.models import Split
from stemsplitter.worker.models import Worker

from .conftest import Create


@pytest.fixture
def chores(services: Services) -> SplitChores:
    return SplitChores(services.database, services.storage, services.splits)


def change(services: Services, split_id: str, **values: object) -> None:
    with services.database.write() as session:
        session.execute(update(Split).where(Split.id == split_id).values(**values))


def files(services: Services) -> list[str]:
    return sorted(stored.key for stored in services.storage.list_prefix())


def put(services: Services, key: str, hours_old: float) -> Path:
    services.storage.put_stream(key, [b"stem"], "audio/mpeg")
    path, _ = services.storage.path_of(key)
    then = time.time() - hours_old * 3600
    os.utime(path, (then, then))
    return path


def test_only_splits_that_have_ended_and_expired_are_deleted(
    services: Services, account: str, create: Create, chores: SplitChores
) -> None:
    old, young, running = create(), create(), create()
    for split_id in (old, young):
        services.splits.cancel(account, split_id)
    for split_id in (old, running):
        change(services, split_id, expires_at=now() - timedelta(seconds=1))
    before = files(services)
    assert chores.delete_expired() == 1
    assert len(before) - len(files(services)) == 1
    views, _ = services.splits.page(account, limit=9, cursor=None, status=None)
    assert [view.id for view in views] == [running, young]
    assert chores.delete_expired() == 0


def test_files_of_no_split_are_swept_up_when_they_are_old(
    services: Services, account: str, create: Create, chores: SplitChores
) -> None:
    kept, deleted = create(), create()
    services.splits.cancel(account, deleted)
    services.splits.delete(account, deleted)
    put(services, f"splits/{kept}/stems/vocals.mp3", 2)
    put(services, f"splits/{deleted}/stems/vocals.mp3", 2)
    put(services, "splits/split_crashed/source.mp3", 2)
    put(services, "splits/split_being_made/source.mp3", 0.5)
    assert chores.sweep() == 2
    assert [key for key in files(services) if key.startswith("splits")] == [
        f"splits/{kept}/stems/vocals.mp3",
        "splits/split_being_made/source.mp3",
    ]


def test_what_the_version_before_has_made_gets_its_turn(
    services: Services, create: Create, chores: SplitChores
) -> None:
    """It inserts without the columns that the queue needs."""
    first, second = create(), create()
    change(services, second, model_name=None, priority=1, turn=0)
    with services.database.read() as session:
        assert not queue.has_next(session, ["other"], 1)
    assert chores.place() == 1
    assert chores.place() == 0
    with services.database.read() as session:
        before, placed = (session.get_one(Split, split_id) for split_id in (first, second))
    assert (placed.model_name, placed.priority, placed.turn) == ("tiny_6s", 1, 3000)
    assert before.turn == 0


def test_what_waits_is_kept_from_a_worker_of_the_version_before(
    services: Services, create: Create, chores: SplitChores
) -> None:
    """Which ends a split of which nothing was heard, as it finds no job of its own for it."""
    split_id, long_ago = create(), now() - timedelta(minutes=8)
    change(services, split_id, updated_at=long_ago)

    def heard_of() -> bool:
        chores.speak_up()
        with services.database.read() as session:
            return session.get_one(Split, split_id).updated_at > long_ago

    assert not heard_of()  # nobody would do it harm
    with services.database.write() as session:
        session.add(
            Worker(
                id="old", host="h", pid=1, started_at=now(), heartbeat_at=now(), models=[], device="cpu",
                state="working",
            )
        )  # fmt: skip
    assert heard_of()


def test_all_chores_can_be_done(services: Services, create: Create, chores: SplitChores) -> None:
    create()
    for chore in chores.all():
        chore.run()
