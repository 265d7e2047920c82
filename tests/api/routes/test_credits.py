from fastapi.testclient import TestClient

from stemsplitter.services import Services
from tests.api.conftest import Account


def test_balance_changes_with_a_grant(client: TestClient, services: Services, account: Account) -> None:
    answer = client.get("/v1/credits", headers=account.headers)
    assert answer.content == b'{"success":true,"data":{"balance":600,"unit":"seconds"}}'
    with services.database.write() as session:
        services.credits.grant(session, account.id, 5600)
    assert client.get("/v1/credits", headers=account.headers).json()["data"]["balance"] == 6200


def test_revoked_key_is_unauthorized(client: TestClient, services: Services, account: Account) -> None:
    with services.database.write() as session:
        (key,) = services.accounts.list_keys(session, account.id)
        services.accounts.revoke_key(session, account.id, key.id)
    assert client.get("/v1/credits", headers=account.headers).status_code == 401
