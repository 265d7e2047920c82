"""Saved webhook endpoints in the API."""

from typing import Any

import pytest

from stemsplitter.services import Services
from tests.api.routes.test_webhooks import Client, accounts, clients, receiver, settings
from tests.loopback import Site
from tests.webhooks.world import SPLIT

__all__ = ["accounts", "clients", "receiver", "settings"]

PATH = "/v1/webhook_endpoints"


def test_endpoint_is_created_changed_tested_and_deleted(
    services: Services, accounts: dict[str, str], clients: tuple[Client, Client], receiver: Site
) -> None:
    client, _ = clients
    made = client(
        "POST", PATH, body={"url": receiver.url, "events": ["audio.split.completed"], "description": "A"}
    )
    assert list(made) == [
        *("id", "url", "description", "events", "status", "disabledReason", "failingSince", "createdAt"),
        *("updatedAt", "secret"),
    ]
    assert made["secret"].startswith("whsec_") and made["status"] == "enabled"
    secret = made.pop("secret")
    path = f"{PATH}/{made['id']}"
    assert client("GET", path) == made and client("GET", PATH)["items"] == [made]
    changed = client("POST", path, {"events": ["*"], "status": "disabled"})
    assert (changed["events"], changed["status"], changed["description"]) == (["*"], "disabled", "A")
    assert client("POST", path, {"status": "enabled"})["status"] == "enabled"
    assert client("POST", f"{path}/rotate")["secret"] != secret
    sent = client("POST", f"{path}/test")
    assert (sent["event"], sent["endpointId"], sent["url"]) == ("webhook.test", made["id"], receiver.url)
    assert services.webhooks.attempt(sent["id"]) is None and len(receiver.requests) == 1
    account_id = next(iter(accounts))
    with services.database.write() as session:
        chosen = services.webhooks.endpoints_of(session, account_id, "split", "succeeded")
        services.webhooks.create_event(session, "split", SPLIT, None, account_id, chosen)
    assert client("DELETE", path) == {"id": made["id"], "deleted": True}
    client("GET", path, status=404)
    assert client("GET", PATH)["items"] == []


def test_endpoint_of_another_account_is_not_found(clients: tuple[Client, Client], receiver: Site) -> None:
    one, two = clients
    path = f"{PATH}/{one('POST', PATH, body={'url': receiver.url, 'events': ['*']})['id']}"
    for method, rest, body in (
        *(("GET", "", None), ("POST", "", {"status": "disabled"}), ("POST", "/rotate", None)),
        *(("POST", "/test", None), ("DELETE", "", None)),
    ):
        assert two(method, path + rest, body, status=404)["code"] == "NOT_FOUND"
    assert two("GET", PATH)["items"] == [] and one("GET", path)["status"] == "enabled"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"url": "http://10.0.0.1/", "events": ["*"]}, "url"),
        ({"url": "x" * 9000, "events": ["*"]}, "url"),
        ({"url": "http://127.0.0.1/", "events": []}, "events"),
        ({"url": "http://127.0.0.1/", "events": ["*"] * 99}, "events"),
        ({"url": "http://127.0.0.1/", "events": ["webhook.test"]}, "events"),
        ({"url": "http://127.0.0.1/", "events": ["*"], "description": "a\nb"}, "description"),
        ({"url": "http://127.0.0.1/", "events": ["*"], "enabled": True}, "enabled"),
    ],
)
def test_invalid_endpoint_is_refused(clients: tuple[Client, Client], body: Any, param: str) -> None:
    error = clients[0]("POST", PATH, body=body, status=422)
    assert error["code"] == "VALIDATION_ERROR" and error["param"] == param


def test_thousand_endpoints_are_refused(services: Services, clients: tuple[Client, Client]) -> None:
    body = {"url": "http://127.0.0.1/", "events": ["*"]}
    for _ in range(16):
        clients[0]("POST", PATH, body=body)
    assert clients[0]("POST", PATH, body=body, status=409)["code"] == "CONFLICT"
