from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from stemsplitter.database import Database
from stemsplitter.processes.app import create_app
from stemsplitter.services import Services
from stemsplitter.settings import Settings
from tests.loopback import Site
from tests.webhooks.conftest import receiver
from tests.webhooks.world import SPLIT

__all__ = ["receiver"]


@pytest.fixture
def settings(database: Database, tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, database_url=database.url, allowed_networks="127.0.0.0/8")


@pytest.fixture
def accounts(services: Services) -> dict[str, str]:
    """Return two accounts: id → API key."""
    with services.database.write() as session:
        made = [services.accounts.create_account(session, f"{each}@example.com") for each in "ab"]
        return {each.id: services.accounts.create_key(session, each.id, "")[1] for each in made}


class Client:
    """Calls the API with a key and unpacks the envelope."""

    def __init__(self, client: TestClient, key: str) -> None:
        self._client = client
        self._headers = {"Authorization": f"Bearer {key}"}

    def get(self, path: str, status: int = 200) -> Any:
        return self("GET", f"/v1/webhooks/{path}", None, status)

    def post(self, path: str, body: Any = None, status: int = 200) -> Any:
        return self("POST", f"/v1/webhooks/{path}", body, status)

    def __call__(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        answer = self._client.request(method, path, headers=self._headers, json=body)
        assert answer.status_code == status, answer.text
        envelope = answer.json()
        assert envelope["success"] == (status == 200)
        return envelope["data" if status == 200 else "error"]


@pytest.fixture
def clients(services: Services, accounts: dict[str, str]) -> tuple[Client, Client]:
    client = TestClient(create_app(services))
    one, two = (Client(client, key) for key in accounts.values())
    return one, two


@pytest.fixture
def client(clients: tuple[Client, Client]) -> Client:
    return clients[0]


@pytest.fixture
def delivered(services: Services, accounts: dict[str, str], receiver: Site) -> str:
    """Return the id of a pending delivery of the first account, with a response of 500."""
    receiver.answers = [500]
    with services.database.write() as session:
        [delivery_id] = services.webhooks.create_event(
            session, "split", SPLIT, receiver.url, next(iter(accounts))
        )
    assert services.webhooks.attempt(delivery_id) is not None
    return delivery_id


def test_deliveries_are_listed_newest_first(client: Client, delivered: str, receiver: Site) -> None:
    page = client.get("deliveries")
    [delivery] = page["items"]
    assert page["nextCursor"] is None
    assert list(delivery) == [
        *("id", "event", "eventId", "splitId", "url", "endpointId", "status", "attempts"),
        *("lastStatus", "lastError", "nextAttemptAt", "createdAt", "updatedAt"),
    ]
    assert delivery["id"] == delivered and delivery["splitId"] == "split_1"
    assert (delivery["event"], delivery["url"]) == ("audio.split.completed", receiver.url)
    assert (delivery["status"], delivery["attempts"], delivery["lastStatus"]) == ("pending", 1, 500)
    for name in ("nextAttemptAt", "createdAt", "updatedAt"):
        assert len(delivery[name]) == 24 and delivery[name].endswith("Z")
    assert delivery["nextAttemptAt"] > delivery["createdAt"]


def test_deliveries_are_filtered_and_paged(client: Client, delivered: str) -> None:
    again = client.post(f"deliveries/{delivered}/replay")["id"]
    first = client.get("deliveries?limit=1")
    second = client.get(f"deliveries?limit=1&cursor={first['nextCursor']}")
    assert {first["items"][0]["id"], second["items"][0]["id"]} == {again, delivered}
    assert second["nextCursor"] is None
    assert len(client.get("deliveries?splitId=split_1&status=pending")["items"]) == 2
    assert client.get("deliveries?status=gone")["items"] == []


def test_delivery_has_its_attempts(client: Client, delivered: str, receiver: Site) -> None:
    delivery = client.get(f"deliveries/{delivered}")
    assert delivery["payload"].encode() == receiver.requests[0][1]
    [attempt] = delivery["log"]
    assert list(attempt) == ["at", "statusCode", "error", "durationMs", "responseExcerpt"]
    assert attempt["statusCode"] == 500 and attempt["error"] == delivery["lastError"]


def test_replay_creates_another_delivery(
    client: Client, delivered: str, services: Services, receiver: Site
) -> None:
    replayed = client.post(f"deliveries/{delivered}/replay")
    before = client.get(f"deliveries/{delivered}")
    assert replayed["id"] != delivered and replayed["eventId"] == before["eventId"]
    with services.database.read() as session:
        assert list(services.webhooks.due(session)) == [replayed["id"]]
    receiver.answers = [200]
    assert services.webhooks.attempt(replayed["id"]) is None
    assert client.get(f"deliveries/{replayed['id']}")["status"] == "delivered"


def test_test_event_is_delivered(client: Client, services: Services, receiver: Site) -> None:
    secret = client.post("secrets/rotate")["secret"]
    sent = client.post("test", {"url": receiver.url})
    assert (sent["event"], sent["splitId"], sent["status"]) == ("webhook.test", None, "pending")
    assert services.webhooks.attempt(sent["id"]) is None
    [(headers, _)] = receiver.requests
    assert headers["webhook-id"] == sent["eventId"] and headers["AIStemSplitter-Signature"]
    assert secret not in str(client.get(f"deliveries/{sent['id']}"))


@pytest.mark.parametrize(
    "body, param",
    [
        ({}, "url"),
        ({"url": "file:///etc/passwd"}, "url"),
        ({"url": "http://169.254.169.254/"}, "url"),
        ({"url": "https://example.com/" + "x" * 9000}, "url"),
        ({"url": "https://example.com/\0"}, "url"),
    ],
)
def test_test_event_to_an_invalid_url_is_refused(client: Client, body: dict[str, str], param: str) -> None:
    error = client.post("test", body, 422)
    assert (error["code"], error["param"]) == ("VALIDATION_ERROR", param)
    assert client.get("deliveries")["items"] == []


def test_secret_is_rotated_and_listed(client: Client) -> None:
    assert client.get("secrets") == {"items": []}
    first = client.post("secrets/rotate")["secret"]
    second = client.post("secrets/rotate")["secret"]
    assert first != second and first.startswith("whsec_")
    newest, oldest = client.get("secrets")["items"]
    assert list(newest) == ["id", "prefix", "createdAt", "expiresAt"]
    assert second.startswith(newest["prefix"]) and newest["expiresAt"] is None
    assert first.startswith(oldest["prefix"]) and oldest["expiresAt"] > oldest["createdAt"]
    assert len(newest["prefix"]) < 15


def test_deliveries_of_another_account_are_not_found(clients: tuple[Client, Client], delivered: str) -> None:
    one, two = clients
    one.post("secrets/rotate")
    assert two.get("deliveries")["items"] == two.get("secrets")["items"] == []
    assert two.get(f"deliveries/{delivered}", 404)["code"] == "NOT_FOUND"
    assert two.post(f"deliveries/{delivered}/replay", status=404)["code"] == "NOT_FOUND"
    assert two.get(f"deliveries?cursor={delivered}", 422)["param"] == "cursor"


@pytest.mark.parametrize(
    "query, param",
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("status=lost", "status"),
        ("cursor=%00", "cursor"),
        ("splitId=%00", "splitId"),
    ],
)
def test_invalid_query_is_refused(client: Client, query: str, param: str) -> None:
    error = client.get(f"deliveries?{query}", 422)
    assert (error["code"], error["param"]) == ("VALIDATION_ERROR", param)


@pytest.mark.parametrize(
    "method, path",
    [
        ("GET", "deliveries"),
        ("GET", "deliveries/dlv_1"),
        ("POST", "deliveries/dlv_1/replay"),
        ("POST", "test"),
        ("GET", "secrets"),
        ("POST", "secrets/rotate"),
    ],
)
def test_api_key_is_required(services: Services, method: str, path: str) -> None:
    body = {"url": "https://example.com"} if path == "test" else None
    answer = TestClient(create_app(services)).request(method, f"/v1/webhooks/{path}", json=body)
    assert answer.status_code == 401 and answer.json()["error"]["code"] == "UNAUTHORIZED"
