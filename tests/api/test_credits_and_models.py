"""The calls of the API that only read."""

from fastapi.testclient import TestClient

from stemsplitter.services import Application

from .conftest import Account


def test_credits(client: TestClient, application: Application, account: Account) -> None:
    answer = client.get("/v1/credits", headers=account.headers)
    assert answer.content == b'{"success":true,"data":{"balance":600,"unit":"seconds"}}'
    with application.database.write() as session:
        application.credits.grant(session, account.id, 5600)
    assert client.get("/v1/credits", headers=account.headers).json()["data"]["balance"] == 6200


def test_a_revoked_key_has_no_entry(client: TestClient, application: Application, account: Account) -> None:
    with application.database.write() as session:
        (key,) = application.accounts.list_keys(session, account.id)
        application.accounts.revoke_key(session, account.id, key.id)
    assert client.get("/v1/credits", headers=account.headers).status_code == 401


def test_models(client: TestClient, application: Application, account: Account) -> None:
    models = client.get("/v1/models", headers=account.headers).json()["data"]["items"]
    assert [model["name"] for model in models] == [entry.name for entry in application.models.entries()]
    for model in models:
        assert list(model) == [
            "name",
            "title",
            "stems",
            "licence",
            "licenceNote",
            "source",
            "quality",
            "ready",
        ]
        assert model["stems"] and model["licence"] and isinstance(model["ready"], bool)
