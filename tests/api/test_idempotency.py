from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from stemsplitter.api.idempotency import MAX_KEY, IdempotencyDep, parse_key
from stemsplitter.idempotency.models import IdempotencyRecord
from stemsplitter.idempotency.service import Record
from stemsplitter.processes.app import create_app
from stemsplitter.schemas import RequestModel
from stemsplitter.service_errors import ValidationFailed
from stemsplitter.services import Services

from .conftest import Account


class Body(RequestModel):
    name: str


@pytest.fixture
def client(services: Services) -> TestClient:
    app = create_app(services)
    made: list[str] = []

    @app.post("/v1/things")
    def create(body: Body, idempotency: IdempotencyDep) -> Any:
        def make(record: Record) -> Mapping[str, Any]:
            if body.name == "bad":
                raise ValidationFailed("Not this name.")
            made.append(body.name)
            data = {"z": len(made), "name": body.name}
            with services.database.write() as session:
                record(session, data)
            return data

        return idempotency.run(body, make)

    return TestClient(app)


def post(client: TestClient, account: Account, key: str | None, name: str = "ü") -> Any:
    headers = account.headers | ({} if key is None else {"Idempotency-Key": key})
    return client.post("/v1/things", json={"name": name}, headers=headers)


def test_replay_returns_the_first_response_and_a_header(client: TestClient, account: Account) -> None:
    first, again = post(client, account, "k1"), post(client, account, "k1")
    assert first.content == again.content == '{"success":true,"data":{"z":1,"name":"ü"}}'.encode()
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"


def test_low_key_of_a_killed_request_says_when_to_retry(
    client: TestClient, account: Account, services: Services
) -> None:
    post(client, account, "k1")
    with services.database.write() as session:  # as if the process had been killed before its response
        session.execute(update(IdempotencyRecord).values(status="in_flight", response_body=None))
    refused = post(client, account, "k1")
    assert refused.status_code == 409
    assert 1 <= int(refused.headers["retry-after"]) <= 10
    with services.database.write() as session:
        record = session.scalars(select(IdempotencyRecord)).one()
        record.created_at -= timedelta(seconds=60)
    assert post(client, account, "k1").status_code == 200


def test_quoted_and_bare_keys_are_equal(client: TestClient, account: Account) -> None:
    assert post(client, account, "k1").json() == post(client, account, '"k1"').json()


def test_requests_without_a_key_are_independent(client: TestClient, account: Account) -> None:
    assert [post(client, account, None).json()["data"]["z"] for _ in range(2)] == [1, 2]


def test_key_with_another_body_is_refused_and_errors_are_not_stored(
    client: TestClient, account: Account
) -> None:
    assert post(client, account, "k1", "bad").status_code == 422
    assert post(client, account, "k1", "good").status_code == 200
    refused = post(client, account, "k1", "other")
    assert (refused.status_code, refused.json()["error"]["param"]) == (422, "Idempotency-Key")


@pytest.mark.parametrize("key", ["", '""', "k" * (MAX_KEY + 1)])
def test_invalid_key_is_refused(client: TestClient, account: Account, key: str) -> None:
    assert post(client, account, key).json()["error"]["param"].lower() == "idempotency-key"


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=MAX_KEY))
def test_quoting_a_key_changes_nothing(key: str) -> None:
    quoted = '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'
    assert parse_key(quoted) == key
    if not (len(key) > 1 and key[0] == key[-1] == '"'):
        assert parse_key(key) == key
