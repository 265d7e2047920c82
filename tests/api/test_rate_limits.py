"""Reading and creating are counted apart, for each key, by all processes together."""

import multiprocessing
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from fastapi.testclient import TestClient

from stemsplitter.database import Database
from stemsplitter.rate_limits import service
from stemsplitter.rate_limits.service import RateLimits
from stemsplitter.services import Services
from stemsplitter.settings import Settings

from .conftest import Account


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"read_limit": 5, "create_limit": 2})


def test_every_answer_tells_the_quota(client: TestClient, account: Account) -> None:
    before = time.time()
    headers = client.get("/v1/credits", headers=account.headers).headers
    assert headers["ratelimit-policy"] == '"read";q=5;w=60, "create";q=2;w=60'
    match = re.fullmatch(r'"read";r=4;t=(\d+)', headers["ratelimit"])
    assert match and 55 <= int(match[1]) <= 60
    assert (headers["x-ratelimit-limit"], headers["x-ratelimit-remaining"]) == ("5", "4")
    assert before + 60 <= int(headers["x-ratelimit-reset"]) <= time.time() + 61
    assert "retry-after" not in headers
    for path in ("/v1/nothing", "/v1/credits/"):
        assert "ratelimit" in client.get(path).headers


def test_one_too_many_is_refused_and_told_when_to_come_back(client: TestClient, account: Account) -> None:
    for _ in range(5):
        assert client.get("/v1/credits", headers=account.headers).status_code == 200
    refused = client.get("/v1/credits", headers=account.headers)
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "RATE_LIMITED"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.headers["x-ratelimit-remaining"] == "0"


def test_polls_do_not_eat_the_quota_for_creating(client: TestClient, account: Account) -> None:
    for _ in range(6):
        client.get("/v1/credits", headers=account.headers)
    answer = client.post("/v1/nothing", headers=account.headers)
    assert answer.status_code == 404
    assert answer.headers["ratelimit"].startswith('"create";r=1;')


def test_strangers_are_counted_by_address_apart_from_keys(client: TestClient, account: Account) -> None:
    for _ in range(6):
        last = client.get("/v1/credits", headers={"Authorization": "Bearer ast_live_wrong"})
    assert last.status_code == 429
    assert client.get("/v1/credits", headers=account.headers).status_code == 200


def test_a_new_window_begins_afresh(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = services.rate_limits
    assert [limits.take("key_1", "create").used for _ in range(3)] == [1, 2, 3]
    at = time.time()
    monkeypatch.setattr(service.time, "time", lambda: at + 61)
    assert limits.take("key_1", "create").used == 1


def test_counts_that_ended_are_forgotten(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = services.rate_limits
    limits.take("key_1", "read")
    at, mono = time.time(), time.monotonic()
    monkeypatch.setattr(service.time, "time", lambda: at + 61)
    monkeypatch.setattr(service.time, "monotonic", lambda: mono + 61)
    limits.take("key_2", "read")
    with limits._engine.connect() as connection:
        buckets = connection.exec_driver_sql("SELECT bucket FROM rate_limits").scalars().all()
    assert buckets == ["read:key_2"]


def test_requests_that_come_together_are_counted_one_after_the_other(services: Services) -> None:
    limits = services.rate_limits
    limits.take("key_1", "read")
    together = [("key_1", "read"), ("key_2", "read"), ("key_1", "create"), ("key_1", "read")]
    with services.database.read() as session:
        quotas = limits.take_all(session, together)
    assert [(each.policy, each.limit, each.used) for each in quotas] == [
        ("read", 5, 2),
        ("read", 5, 1),
        ("create", 2, 1),
        ("read", 5, 3),
    ]
    assert limits.take("key_1", "read").used == 4


def _take_many(settings: Settings) -> list[int]:
    database = Database(settings.database)
    limits = RateLimits(database, settings)
    with ThreadPoolExecutor(4) as pool:
        used = list(pool.map(lambda _: limits.take("key_1", "read").used, range(50)))
    limits.close()
    database.close()
    return used


def test_processes_count_together(settings: Settings) -> None:
    settings.data_dir.mkdir()
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        counts = pool.map(_take_many, [settings] * 2)
    assert sorted(counts[0] + counts[1]) == list(range(1, 101))


def test_processes_that_start_at_once(settings: Settings) -> None:
    """Each makes the table where it is missing."""
    settings.data_dir.mkdir()
    together = threading.Barrier(6)

    def start() -> int:
        database = Database(settings.database)
        try:
            together.wait(timeout=30)
            limits = RateLimits(database, settings)
            used = limits.take("key_1", "read").used
            limits.close()
            return used
        finally:
            database.close()

    with ThreadPoolExecutor(6) as pool:
        counts = [each.result(60) for each in [pool.submit(start) for _ in range(6)]]
    assert sorted(counts) == list(range(1, 7))


def test_a_count_that_another_process_changes_is_not_waited_for(
    services: Services, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else two processes that forget old counts, each in the midst of a new one, would wait for each other."""
    if services.database.is_sqlite:
        pytest.skip("there processes write one after the other")
    limits = services.rate_limits
    limits.take("key_1", "read")
    limits.take("key_2", "read")
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
            assert pool.submit(limits.take, "key_1", "read").result(60).used == 1
        finally:
            connection.rollback()  # which lets it go on where it does wait
