"""The log of requests with API keys."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from stemsplitter.api_requests import service as module
from stemsplitter.api_requests.models import ApiRequest
from stemsplitter.clock import now
from stemsplitter.services import Services
from tests.services import services, settings

__all__ = ["services", "settings"]


@pytest.fixture
def account(services: Services) -> str:
    with services.database.write() as session:
        return services.accounts.create_account(session, "someone@example.org").id


def rows(services: Services) -> list[tuple[str, str, int]]:
    services.api_requests.write()
    with services.database.read() as session:
        found = session.scalars(select(ApiRequest).order_by(ApiRequest.at, ApiRequest.id))
        return [(each.method, each.path, each.status) for each in found]


def add(services: Services, account: str, method: str, path: str, status: int, key: str = "key_1") -> None:
    services.api_requests.add(account, key, method, path, status, "req_1", 1.5)


def test_repeated_requests_are_recorded_once_a_minute(
    services: Services, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        add(services, account, "GET", "/v1/a", 200)
        add(services, account, "POST", "/v1/a", 201)
        add(services, account, "POST", "/v1/a", 429)
    add(services, account, "GET", "/v1/a", 200, key="key_2")
    assert sorted(rows(services)) == [
        ("GET", "/v1/a", 200),
        ("GET", "/v1/a", 200),
        *[("POST", "/v1/a", 201)] * 3,
        ("POST", "/v1/a", 429),
    ]
    monkeypatch.setattr(module, "FOLD_S", 0.0)
    add(services, account, "GET", "/v1/a", 200)
    assert len(rows(services)) == 7


def test_waiting_requests_are_bounded(
    services: Services, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    for _ in range(3):
        add(services, account, "POST", "/v1/a", 201)
    assert len(rows(services)) == 2


def test_pages_are_of_an_account_and_a_key(services: Services, account: str) -> None:
    with services.database.write() as session:
        other = services.accounts.create_account(session, "other@example.org").id
    for owner, key, path in ((account, "key_1", "/1"), (account, "key_2", "/2"), (other, "key_3", "/3")):
        add(services, owner, "POST", path, 201, key)
    services.api_requests.write()
    with services.database.read() as session:

        def paths(key: str, limit: int, cursor: str | None) -> tuple[list[str], str | None]:
            found, after = services.api_requests.page(
                session, account, key_id=key, limit=limit, cursor=cursor
            )
            return [each.path for each in found], after

        first, after = paths("", 1, None)
        assert (first, paths("", 1, after)) == (["/2"], (["/1"], None))
        assert paths("key_1", 5, None) == (["/1"], None)
        assert paths("key_3", 5, None) == ([], None)


def test_old_and_too_many_requests_are_deleted(
    services: Services, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BATCH", 2)
    with services.database.write() as session:
        for days in (40, 35, 31, 29, 3, 2, 1):
            session.add(
                ApiRequest(
                    account_id=account, key_id="key_1", at=now() - timedelta(days=days), method="GET",
                    path=f"/{days}", status=200, request_id="req", ms=1,
                )
            )  # fmt: skip
    assert services.api_requests.delete_old() == 3
    assert [path for _, path, _ in rows(services)] == ["/29", "/3", "/2", "/1"]
    monkeypatch.setattr(module, "MAX_ROWS", 2)
    assert services.api_requests.delete_old() == 2
    assert [path for _, path, _ in rows(services)] == ["/2", "/1"]
