import multiprocessing
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from stemsplitter.database import Database
from stemsplitter.rate_limits import service
from stemsplitter.rate_limits.counts import open_engine
from stemsplitter.rate_limits.service import DAY_S, Policy, RateLimits, network, wide_network
from stemsplitter.service_errors import RateLimited
from stemsplitter.services import Services
from stemsplitter.settings import Settings


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"read_limit": 5, "create_limit": 2})


class Clock:
    """The time that the limits see."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at = 1_800_000_000.0
        monkeypatch.setattr(service.time, "time", lambda: self.at)
        monkeypatch.setattr(service.time, "monotonic", lambda: self.at)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_request_over_the_limit_is_refused_until_the_time_it_names(services: Services, clock: Clock) -> None:
    limits = services.rate_limits
    for _ in range(2):
        limits.check("acc_1", Policy("purchase", 2))
    with pytest.raises(
        RateLimited, match=r"^Rate limit exceeded: 2 purchase requests per minute. Retry in \d+ s.$"
    ) as refused:
        limits.check("acc_1", Policy("purchase", 2))
    limits.check("acc_2", Policy("purchase", 2))
    clock.at += refused.value.details["retryAfter"]
    limits.check("acc_1", Policy("purchase", 2))


@given(
    limit=st.integers(1, 20),
    steps=st.lists(st.floats(0, 200, allow_nan=False), min_size=1, max_size=40),
)
@settings_of_hypothesis(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_request_is_allowed_at_the_time_that_a_refusal_names(
    services: Services, clock: Clock, limit: int, steps: list[float]
) -> None:
    limits, caller = services.rate_limits, secrets.token_hex(8)
    for step in steps:
        clock.at += step
        quota = limits.count(caller, Policy("any", limit))
        if quota.exceeded:
            assert 1 <= quota.wait_s <= 61
            clock.at += quota.wait_s
            assert not limits.count(caller, Policy("any", limit)).exceeded


def test_burst_across_two_windows_is_refused(services: Services, clock: Clock) -> None:
    """Fixed windows let twice the limit pass within a second."""
    limits = services.rate_limits
    limits.count("key_1", Policy("any", 10))
    clock.at += 59
    allowed = sum(not limits.count("key_1", Policy("any", 10)).exceeded for _ in range(9))
    clock.at += 2
    allowed += sum(not limits.count("key_1", Policy("any", 10)).exceeded for _ in range(10))
    assert allowed <= 10


def test_caller_is_free_again_after_two_windows(services: Services, clock: Clock) -> None:
    limits = services.rate_limits
    assert [limits.count("key_1", limits.create).used for _ in range(3)] == [1, 2, 3]
    clock.at += 121
    assert limits.count("key_1", limits.create).used == 1


def test_clock_set_back_starts_a_new_window(services: Services, clock: Clock) -> None:
    limits = services.rate_limits
    for _ in range(3):
        limits.count("key_1", limits.create)
    clock.at -= 3600
    quota = limits.count("key_1", limits.create)
    assert quota.exceeded and quota.wait_s <= 61


def test_a_policy_of_a_day_lasts_a_day(services: Services, clock: Clock) -> None:
    limits, policy = services.rate_limits, Policy("sign-up", 1, DAY_S)
    limits.check("acc_1", policy)
    clock.at += 3600
    with pytest.raises(
        RateLimited, match=r"^Rate limit exceeded: 1 sign-up requests per day. Retry in \d+ s.$"
    ):
        limits.check("acc_1", policy)
    clock.at += 2 * DAY_S
    limits.check("acc_1", policy)


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.0/24"),
        ("::ffff:192.0.2.1", "192.0.2.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1::/48"),
        ("testclient", "testclient"),
    ],
)
def test_m3_wide_network_of_an_address(address: str, counted: str) -> None:
    assert wide_network(address) == counted


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_m3_an_ipv6_address_counts_for_its_64(address: str, counted: str) -> None:
    assert network(address) == counted


def test_expired_windows_are_deleted(services: Services, clock: Clock) -> None:
    limits = services.rate_limits
    limits.count("key_1", limits.read)
    clock.at += 121
    limits.count("key_2", limits.read)
    with limits._engine.connect() as connection:
        buckets = connection.exec_driver_sql("SELECT bucket FROM request_counts").scalars().all()
    assert buckets == ["read:key_2"]


def test_batch_of_requests_is_counted_in_order(services: Services) -> None:
    limits = services.rate_limits
    limits.count("key_1", limits.read)
    together = [
        ("key_1", limits.read),
        ("key_2", limits.read),
        ("key_1", limits.create),
        ("key_1", limits.read),
    ]
    with services.database.read() as session:
        quotas = limits.count_all(session, together)
    assert [(each.policy.name, each.policy.limit, each.used) for each in quotas] == [
        ("read", 5, 2),
        ("read", 5, 1),
        ("create", 2, 1),
        ("read", 5, 3),
    ]
    assert limits.count("key_1", limits.read).used == 4


def _count_many(settings: Settings) -> list[int]:
    database = Database(settings.database)
    limits = RateLimits(database, settings)
    with ThreadPoolExecutor(4) as pool:
        used = list(pool.map(lambda _: limits.count("key_1", limits.read).used, range(50)))
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
            used = limits.count("key_1", limits.read).used
            limits.close()
            return used
        finally:
            database.close()

    with ThreadPoolExecutor(6) as pool:
        counts = [each.result(60) for each in [pool.submit(start) for _ in range(6)]]
    assert sorted(counts) == list(range(1, 7))


def test_cleanup_skips_rows_locked_by_another_process(
    services: Services, settings: Settings, clock: Clock
) -> None:
    """Otherwise two processes that delete old windows during a count would deadlock."""
    if services.database.is_sqlite:
        pytest.skip("SQLite has one writer at a time")
    limits = services.rate_limits
    limits.count("key_1", limits.read)
    limits.count("key_2", limits.read)
    clock.at += 121
    with (
        closing(Database(settings.database)) as other,
        other.engine.connect() as connection,
        ThreadPoolExecutor(1) as pool,
    ):
        connection.exec_driver_sql("UPDATE request_counts SET used = 1 WHERE bucket = 'read:key_2'")
        try:
            assert pool.submit(limits.count, "key_1", limits.read).result(60).used == 1
        finally:
            connection.rollback()  # ends the wait if there is one


def test_h2_counts_continue_in_memory_while_their_file_cannot_be_written(
    database: Database, services: Services, tmp_path: Path
) -> None:
    if not database.is_sqlite:
        pytest.skip("counts are in the database")
    limits, policy = services.rate_limits, Policy("any", 2)
    limits._engine.dispose()
    limits._engine = open_engine(f"sqlite:///{tmp_path / 'missing' / 'rate_limits.db'}")
    limits.check("acc_1", policy)
    with ThreadPoolExecutor(1) as other_thread:
        other_thread.submit(limits.check, "acc_1", policy).result()
    with pytest.raises(RateLimited):
        limits.check("acc_1", policy)
    limits.check("acc_2", policy)


def test_low_damaged_file_of_counts_is_kept_and_replaced(
    database: Database, services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    if not database.is_sqlite:
        pytest.skip("counts are in the database")
    services.settings.data_dir.mkdir(exist_ok=True)
    path = services.settings.data_dir / "rate_limits.db"
    damaged = b"SQLite format 3\0" + bytes(range(256)) * 64
    path.write_bytes(damaged)
    services.rate_limits.check("acc_1", Policy("any", 2))
    assert path.read_bytes().startswith(b"SQLite format 3\0")
    assert path.with_name("rate_limits.db.damaged").read_bytes() == damaged
    assert "rate_limits.db.damaged: file is not a database" in caplog.text
