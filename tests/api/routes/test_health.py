import errno
import os
import tempfile
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from stemsplitter.database import Database
from stemsplitter.quotas.disk import Disk
from stemsplitter.services import Services
from stemsplitter.storage import StorageError

from ..conftest import Account


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
    assert ready.status_code == 503
    assert ready.json()["checks"] == {"database": "ok", "storage": "failed", "disk": "ok"}
    assert ready.json()["reasons"] == {"storage": "The file storage does not answer."}


def test_h2_not_ready_below_the_floor_of_free_space(client: TestClient, services: Services) -> None:
    services.disk = Disk([services.settings.data_dir], 10**9, lambda folder: 10**9 - 1)
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["checks"]["disk"]) == (503, "failed")
    assert ready.json()["reasons"]["disk"] == (
        "The disk of the server has 999999999 bytes left, and nothing new is stored below 1000000000 "
        "(STEMSPLITTER_MIN_FREE_BYTES): free some space."
    )


def test_h2_not_ready_if_a_write_fails(
    client: TestClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    ready = client.get("/readyz")
    assert ready.status_code == 503
    assert "(No space left on device)" in ready.json()["reasons"]["disk"]


def test_row_15_lost_table_is_told(
    client: TestClient, services: Services, account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    with services.database.write() as session:
        session.execute(text("ALTER TABLE jobs RENAME TO lost"))
    answer = client.get("/v1/audio/splits", headers=account.headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "SERVER_ERROR")
    assert "jobs" not in answer.json()["error"]["message"]
    assert "SchemaError: The database lacks the table jobs: restore a backup." in caplog.text
    ready = client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["reasons"] == {"database": "The database lacks the table jobs: restore a backup."}
