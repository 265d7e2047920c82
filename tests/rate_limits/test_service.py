import multiprocessing
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from stemsplitter.database import Database
from stemsplitter.rate_limits import service
from stemsplitter.rate_limits.service import RateLimits
from stemsplitter.service_errors import RateLimited
from stemsplitter.services import Services
from stemsplitter.settings import Settings


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"read_limit": 5, "create_limit": 2})


def test_a_request_over_the_limit_is_refused_until_the_window_ends(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = services.rate_limits
    for _ in range(2):
        limits.check("acc_1", "purchase", 2)
    with pytest.raises(
        RateLimited, match=r"^Rate limit exceeded: 2 purchase requests per minute. Retry in \d+ s.$"
    ) as refused:
        limits.check("acc_1", "purchase", 2)
    assert 1 <= refused.value.details["retryAfter"] <= 60
    limits.check("acc_2", "purchase", 2)
    at = time.time()
    monkeypatch.setattr(service.time, "time", lambda: at + 61)
    limits.check("acc_1", "purchase", 2)


def test_a_new_window_starts_at_zero(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = services.rate_limits
    assert [limits.count("key_1", "create").used for _ in range(3)] == [1, 2, 3]
    at = time.time()
    monkeypatch.setattr(service.time, "time", lambda: at + 61)
    assert limits.count("key_1", "create").used == 1


def test_expired_windows_are_deleted(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = services.rate_limits
    limits.count("key_1", "read")
    at, mono = time.time(), time.monotonic()
    monkeypatch.setattr(service.time, "time", lambda: at + 61)
    monkeypatch.setattr(service.time, "monotonic", lambda: mono + 61)
    limits.count("key_2", "read")
    with limits._engine.connect() as connection:
        buckets = connection.exec_driver_sql("SELECT bucket FROM rate_limits").scalars().all()
    assert buckets == ["read:key_2"]


def test_a_batch_of_requests_is_counted_in_order(services: Services) -> None:
    limits = services.rate_limits
    limits.count("key_1", "read")
    together = [("key_1", "read"), ("key_2", "read"), ("key_1", "create"), ("key_1", "read")]
    with services.database.read() as session:
        quotas = limits.count_all(session, together)
    assert [(each.policy, each.limit, each.used) for each in quotas] == [
        ("read", 5, 2),
        ("read", 5, 1),
        ("create", 2, 1),
        ("read", 5, 3),
    ]
    assert limits.count("key_1", "read").used == 4


def _count_many(settings: Settings) -> list[int]:
    database = Database(settings.database)
    limits = RateLimits(database, settings)
    with ThreadPoolExecutor(4) as pool:
        used = list(pool.map(lambda _: limits.count("key_1", "read").used, range(50)))
    limits.close()
    database.close()
    return used


def test_processes_share_the_counts(settings: Settings) -> None:
    settings.data_dir.mkdir()
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        counts = pool.map(_count_many, [settings] * 2)
    assert sorted(counts[0] + counts[1]) == list(range(1, 101))


def test_processes_that_start_together_create_the_table_once(settings: Settings) -> None:
    settings.data_dir.mkdir()
    together = threading.Barrier(6)

    def start() -> int:
        database = Database(settings.database)
        try:
            together.wait(timeout=30)
            limits = RateLimits(database, settings)
            used = limits.count("key_1", "read").used
            limits.close()
            return used
        finally:
            database.close()

    with ThreadPoolExecutor(6) as pool:
        counts = [each.result(60) for each in [pool.submit(start) for _ in range(6)]]
    assert sorted(counts) == list(range(1, 7))


def test_cleanup_skips_rows_locked_by_another_process(
    services: Services, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise two processes that delete old windows during a count would deadlock."""
    if services.database.is_sqlite:
        pytest.skip("SQLite has one writer at a time")
    limits = services.rate_limits
    limits.count("key_1", "read")
    limits.count("key_2", "read")
    at, mono = time.time(), time.monotonic()
    monkeypatch.setattr(service.time, "time", lambda: at + 61)
    monkeypatch.setattr(service.time, "monotonic", lambda: mono + 61)
    with (
        closing(Database(settings.database)) as other,
        other.engine.connect() as connection,
        ThreadPoolExecutor(1) as pool,
    ):
        connection.exec_driver_sql("UPDATE rate_limits SET used = 1 WHERE bucket = 'read:key_2'")
        try:
            assert pool.submit(limits.count, "key_1", "read").result(60).used == 1
        finally:
            connection.rollback()  # ends the wait if there is one
