"""Maintenance tasks of splits."""

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from stemsplitter.clock import now
from stemsplitter.credits.models import LedgerEntry
from stemsplitter.jobs.service import TRASHED
from stemsplitter.services import Services
from stemsplitter.splits.maintenance import SplitMaintenance
from stemsplitter.splits.models import Split

from .conftest import Create


@pytest.fixture
def maintenance(services: Services) -> SplitMaintenance:
    return SplitMaintenance(
        services.database, services.storage, services.splits, services.derived_files, services.quotas
    )


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


def test_only_ended_and_expired_splits_are_deleted(
    services: Services, account: str, create: Create, maintenance: SplitMaintenance
) -> None:
    old, young, running = create(), create(), create()
    for split_id in (old, young):
        services.splits.cancel(account, split_id)
    for split_id in (old, running):
        change(services, split_id, expires_at=now() - timedelta(seconds=1))
    before = files(services)
    assert maintenance.delete_expired() == 1
    assert len(before) - len(files(services)) == 1
    views, _ = services.splits.page(account, limit=9, cursor=None, status=None)
    assert [view.id for view in views] == [running, young]
    assert maintenance.delete_expired() == 0


def test_records_of_jobs_deleted_long_ago_are_deleted_and_their_ledger_entries_stay(
    services: Services, account: str, create: Create, maintenance: SplitMaintenance
) -> None:
    old, young, kept = create(), create(), create()
    for split_id in (old, young, kept):
        services.splits.cancel(account, split_id)
    for split_id, days in ((old, 91), (young, 89)):
        services.splits.delete(account, split_id)
        change(services, split_id, deleted_at=now() - timedelta(days=days))
    with services.database.read() as session:
        before = [entry.id for entry in session.scalars(select(LedgerEntry))]
    assert maintenance.delete_records() == 1
    with services.database.read() as session:
        assert set(session.scalars(select(Split.id))) == {young, kept}
        assert [entry.id for entry in session.scalars(select(LedgerEntry))] == before
        assert services.credits.balance(session, account) == sum(
            entry.amount for entry in session.scalars(select(LedgerEntry))
        )


def test_old_orphaned_files_are_deleted(
    services: Services, account: str, create: Create, maintenance: SplitMaintenance
) -> None:
    kept, deleted = create(), create()
    services.splits.cancel(account, deleted)
    services.splits.delete(account, deleted)
    put(services, f"splits/{kept}/stems/vocals.mp3", 2)
    put(services, f"splits/{deleted}/stems/vocals.mp3", 2)
    put(services, "splits/split_crashed/source.mp3", 2)
    put(services, "splits/split_being_made/source.mp3", 0.5)
    assert maintenance.delete_orphans() == 2
    assert [key for key in files(services) if key.startswith("splits")] == [
        f"splits/{kept}/stems/vocals.mp3",
        "splits/split_being_made/source.mp3",
    ]


def test_all_tasks_run(services: Services, create: Create, maintenance: SplitMaintenance) -> None:
    create()
    for task in maintenance.tasks():
        task.run()


def test_trashed_splits_are_deleted_when_it_can_no_longer_be_undone(
    services: Services, account: str, create: Create, maintenance: SplitMaintenance
) -> None:
    old, young = create(), create()
    for split_id in (old, young):
        services.splits.cancel(account, split_id)
    assert services.splits.trash(account, [old, young, create()]) == ([old, young], 1)
    change(services, old, trashed_at=now() - TRASHED)
    before = files(services)
    assert maintenance.delete_trashed() == 1 and maintenance.delete_trashed() == 0
    assert len(before) - len(files(services)) == 1
    assert services.splits.restore(account, [old, young]) == 1
    assert services.splits.get(account, young).status == "failed"
