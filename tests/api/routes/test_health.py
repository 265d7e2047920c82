from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from stemsplitter.database import Database
from stemsplitter.services import Services
from stemsplitter.storage import StorageError


def test_server_is_alive_and_ready(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ok")
    assert set(ready.json()["checks"].values()) == {"ok"}


def test_not_ready_without_a_database(client: TestClient, services: Services, tmp_path: Path) -> None:
    services.database.close()
    services.database = Database(f"sqlite:///{tmp_path}")  # a folder
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["checks"]["database"]) == (503, "failed")
    assert client.get("/healthz").status_code == 200


def test_not_ready_without_file_storage(
    client: TestClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise StorageError("The bucket is gone.")

    monkeypatch.setattr(services.storage, "check", fail)
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["checks"]) == (503, {"database": "ok", "storage": "failed"})
