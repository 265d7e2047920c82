from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from stemsplitter.accounts.models import Account
from stemsplitter.clock import now
from stemsplitter.database import Database
from stemsplitter.health import repository, service
from stemsplitter.health.service import HealthService
from stemsplitter.jobs.models import FAILED, FREE, LOW, QUEUED, SUCCEEDED
from stemsplitter.settings import Settings
from stemsplitter.splits.models import Split
from stemsplitter.storage import Storage, StorageError
from stemsplitter.worker.heartbeat import WORKING
from stemsplitter.worker.models import Worker


@pytest.fixture
def health(database: Database, tmp_path: Path) -> HealthService:
    settings = Settings(data_dir=tmp_path)
    storage = Storage(settings.storage, b"k" * 32, settings.base_url)
    with database.write() as session:
        session.add(Account(id="acc_1", email="a@example.org"))
    return HealthService(database, storage, settings)


def add(database: Database, split_id: str, status: str, age_s: float, **values: Any) -> None:
    at = now() - timedelta(seconds=age_s)
    fixed: dict[str, Any] = {
        "account_id": "acc_1",
        "stem_model": "2s",
        "requested_stems": [],
        "output_format": "mp3",
        "filename": "a.mp3",
        "duration_seconds": 60,
        "credits_used": 60,
        "source_key": "",
        "source_bytes": 1,
        "model": {},
        "user_metadata": {},
        "created_at": at,
        "updated_at": at,
        "expires_at": at,
        "finished_at": at if status in (SUCCEEDED, FAILED) else None,
    }
    with database.write() as session:
        session.add(Split(id=split_id, status=status, **(fixed | values)))


def test_unused_server_has_empty_figures(health: HealthService) -> None:
    status = health.status()
    assert (status.figures.workers, status.storage, status.incidents) == (0, True, [])
    assert (status.recent.splits, status.recent.wait_s, status.recent.speed) == (0, None, None)


def test_medians_cover_the_succeeded_splits_of_a_day(health: HealthService, database: Database) -> None:
    for number, (wait_s, work_s) in enumerate([(1, 10), (3, 20), (8, 30)]):
        started = now() - timedelta(seconds=100 - wait_s)
        work = {"seconds": work_s}
        add(database, f"s{number}", SUCCEEDED, 100, started_at=started, processing=work)
    add(database, "old", SUCCEEDED, 90_000, started_at=now(), processing={"seconds": 1})
    add(database, "failed", FAILED, 100, started_at=now())
    recent = health.status().recent
    assert recent.splits == 3
    assert recent.wait_s == pytest.approx(3, abs=0.1)
    assert recent.speed == pytest.approx(3)


def test_splits_of_a_low_priority_are_expected_to_wait(health: HealthService, database: Database) -> None:
    add(database, "low", QUEUED, 9000, model_name="one", priority=LOW)
    add(database, "other", QUEUED, 60, model_name="one", priority=FREE)
    started, work = now(), {"seconds": 10}
    add(database, "late", SUCCEEDED, 9000, started_at=started, processing=work, priority=LOW)
    status = health.status()
    assert status.figures.queued == 2
    assert status.figures.oldest_s == pytest.approx(60, abs=5)
    assert (status.recent.splits, status.recent.wait_s) == (1, None)


def test_check_is_recorded(
    health: HealthService, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.write() as session:
        at = now()
        worker = {"host": "h", "pid": 1, "models": [], "device": "cpu", "state": WORKING}
        session.add(Worker(id="wrk_1", started_at=at, heartbeat_at=at, **worker))
    add(database, "before", FAILED, 5, error_code="SERVER_ERROR")
    health.check()
    add(database, "ours", FAILED, 0, error_code="SERVER_ERROR")
    add(database, "memory", FAILED, 0, error_code="OUT_OF_MEMORY")
    add(database, "theirs", FAILED, 0, error_code="VALIDATION_ERROR")
    add(database, "canceled", FAILED, 0, error_code="CANCELED")
    add(database, "waits", QUEUED, 700)
    monkeypatch.setattr(service, "now", lambda: now() + timedelta(seconds=1))
    health.check()
    with database.read() as session:
        first, second = repository.checks(session, now() - timedelta(minutes=1))
    assert (first.faults, first.queued, first.workers, first.storage) == (0, 0, 1, True)
    assert (second.faults, second.queued, second.waited_s) == (2, 1, 701)


def test_checks_are_kept_for_a_week(
    health: HealthService, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    health.check()
    monkeypatch.setattr(service, "now", lambda: now() + service.RETENTION + timedelta(seconds=1))
    health.check()
    with database.read() as session:
        assert len(repository.checks(session, now() - timedelta(days=1))) == 1


def test_status_is_cached(health: HealthService, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    assert health.status() is health.status()
    monkeypatch.setattr(service, "CACHE_S", -1.0)
    assert health.status() is not health.status()


def test_unavailable_file_storage_is_an_incident(
    health: HealthService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Storage) -> None:
        raise StorageError("gone")

    monkeypatch.setattr(Storage, "check", fail)
    assert health.status().storage is False
    health.check()
    monkeypatch.setattr(service, "CACHE_S", -1.0)
    (incident,) = health.status().incidents
    assert (incident.text, incident.ended) == ("The file storage was unavailable", None)
