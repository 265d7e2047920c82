"""The two kinds of store: a folder, and a bucket of a small S3 server that runs on loopback."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stemsplitter.storage import Storage

_BUCKET = "stems"
_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "tester",
    "AWS_SECRET_ACCESS_KEY": "not-a-real-secret",
    "AWS_REGION": "us-east-1",
}


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an S3 server, which checks signatures, with an empty bucket."""
    folder = tmp_path_factory.mktemp("s3")
    (folder / _BUCKET).mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"],
        "NANIO_ACCESS_KEY": _CREDENTIALS["AWS_ACCESS_KEY_ID"],
        "NANIO_SECRET_KEY": _CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    }
    command = [sys.executable, "-m", "nanio", "serve", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--data-dir", str(folder), "--log-level", "warning", "--no-access-log"]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, env=environment, stderr=log) as server:
        try:
            _wait_for(port, server, folder / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def _wait_for(port: int, server: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(200):
        assert server.poll() is None, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    pytest.fail("the S3 server does not start")


@pytest.fixture
def folder_storage(tmp_path: Path) -> Storage:
    return Storage((tmp_path / "files").as_uri(), b"k" * 32, "http://127.0.0.1:8000/")


@pytest.fixture
def s3_storage(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    for name, value in {**_CREDENTIALS, "AWS_ENDPOINT_URL": s3_server}.items():
        monkeypatch.setenv(name, value)
    storage = Storage(f"s3://{_BUCKET}", b"k" * 32, "http://127.0.0.1:8000")
    yield storage
    for stored in storage.list_prefix():
        storage.delete(stored.key)


@pytest.fixture(params=["folder", "s3"])
def storage(request: pytest.FixtureRequest) -> Storage:
    found = request.getfixturevalue(f"{request.param}_storage")
    assert isinstance(found, Storage)
    return found
