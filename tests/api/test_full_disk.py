"""A server whose disk is full: a file system of a few megabytes in memory, where the system allows to mount one."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from stemsplitter.database import Database
from stemsplitter.migrations.upgrade import upgrade
from stemsplitter.services import Services
from stemsplitter.settings import Settings
from tests.api.routes.test_splits import PATH, client, data, finish
from tests.splits.conftest import Create, account, create, services, song, tiny_store, upload

__all__ = ["account", "client", "create", "finish", "services", "song", "tiny_store", "upload"]

SIZE_MB = 24


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def settings(disk: Path) -> Settings:
    return Settings(data_dir=disk / "data", model_6s="tiny_6s", min_free_bytes=1_000_000)


@pytest.fixture
def database(disk: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{disk / 'stemsplitter.db'}")
    upgrade(made)
    yield made
    made.close()


def fill(disk: Path) -> Path:
    """Write a file until the disk is full."""
    path = disk / "ballast"
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return path


def test_h2_full_disk_refuses_creates_and_nothing_else(
    client: TestClient,
    services: Services,
    create: Create,
    upload: Callable[[], dict[str, str]],
    finish: Callable[[str], None],
    disk: Path,
) -> None:
    split_id, waiting, given = create(), create(), upload()
    finish(split_id)
    assert client.get("/readyz").status_code == 200
    ballast = fill(disk)
    for _ in range(3):
        split: Any = data(client.get(f"{PATH}/{split_id}"))
        assert split["status"] == "succeeded"
    assert data(client.get("/v1/credits"))["balance"] > 0
    assert len(data(client.get(PATH))["items"]) == 2
    link = split["stems"]["vocals"].removeprefix(services.settings.base_url)
    assert client.get(link).content == b"vocals"
    assert client.get("/", headers={"Accept": "text/html"}).status_code == 200
    reservation = {"filename": "a.mp3", "contentType": "audio/mpeg", "contentLength": 1000}
    for path, body in ((PATH, {"input": given}), ("/v1/audio/uploads", reservation)):
        refused = client.post(path, json=body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "UNAVAILABLE")
        assert int(refused.headers["retry-after"]) > 0
    ready = client.get("/readyz")
    assert ready.status_code == 503 and "disk" in ready.json()["reasons"]
    assert client.delete(f"{PATH}/{split_id}").status_code == 200
    ballast.unlink()
    assert client.get("/readyz").status_code == 200
    assert client.post("/v1/audio/uploads", json=reservation).status_code == 200
    assert client.post(f"{PATH}/{waiting}/cancel").status_code == 200
