from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from stemsplitter.catalogue.speeds import MeasuredSpeed, record_speed
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.services import Services
from tests.api.conftest import Account


@pytest.fixture(autouse=True)
def _own_store(services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "models", ModelStore(tmp_path / "models"))


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
            "realtimeFactor",
        ]
        assert model["stems"] and model["licence"] and isinstance(model["ready"], bool)
        assert model["realtimeFactor"] is None


def test_a_model_has_its_measured_speed(client: TestClient, services: Services, account: Account) -> None:
    entry = services.models.entry("builtin_6s")
    record_speed(entry, services.models, MeasuredSpeed(9.4, "cpu (a processor)"))
    models = client.get("/v1/models", headers=account.headers).json()["data"]["items"]
    factors = {model["name"]: model["realtimeFactor"] for model in models}
    assert factors == dict.fromkeys(factors) | {"builtin_6s": 0.1064}
