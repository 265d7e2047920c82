from fastapi.testclient import TestClient

from stemsplitter.services import Services
from tests.api.conftest import Account


def test_catalogue_is_listed_with_its_fields(
    client: TestClient, services: Services, account: Account
) -> None:
    models = client.get("/v1/models", headers=account.headers).json()["data"]["items"]
    assert [model["name"] for model in models] == [entry.name for entry in services.models.entries()]
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
