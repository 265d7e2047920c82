"""A server on a real socket: in-process clients can neither close connections early nor send concurrent requests."""

import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from sqlalchemy import update

from stemsplitter.api import upload_body
from stemsplitter.database import Database
from stemsplitter.processes.app import create_app
from stemsplitter.services import Services
from stemsplitter.settings import Settings
from stemsplitter.uploads.models import Upload

from ..buckets import BUCKET, Proxy, s3_server, use

LIMIT_S = 60.0
SONG = b"ID3\x04\0\0\0\0\0\0" + bytes(range(256)) * 400


@dataclass
class Server:
    services: Services
    account_id: str
    key: str
    url: str
    app: Any = None
    song: bytes = field(default=SONG, repr=False)

    def call(
        self, method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Send a request like the Python client; return status and JSON."""
        request = urllib.request.Request(url, data=body, headers=headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def reserve(self, headers: dict[str, str] | None = None, **body: Any) -> tuple[int, dict[str, Any]]:
        body = {"filename": "song.mp3", "contentType": "audio/mpeg", "contentLength": len(SONG)} | body
        sent = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json", **(headers or {})}
        return self.call("POST", f"{self.url}/v1/audio/uploads", json.dumps(body).encode(), sent)

    def reserved(self, **body: Any) -> dict[str, Any]:
        status, answer = self.reserve(**body)
        assert (status, answer["success"]) == (200, True)
        found = answer["data"]
        assert isinstance(found, dict)
        return found

    def send(
        self, upload: dict[str, Any], data: bytes = SONG, method: str = "POST", **headers: str
    ) -> tuple[int, dict[str, Any]]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {**upload["uploadHeaders"], "Content-Type": "audio/mpeg", **named}
        return self.call(method, upload["uploadUrl"], data, sent)

    def open(self, upload: dict[str, Any], length: int | None, begin: bytes = b"") -> socket.socket:
        """A connection on which a request to the upload URL has begun, with the first bytes of its body; chunked where
        there is no length."""
        path = upload["uploadUrl"].removeprefix(self.url)
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: audio/mpeg\r\n"
        head += f"X-Upload-Token: {upload['uploadHeaders']['X-Upload-Token']}\r\n"
        head += (
            "Transfer-Encoding: chunked\r\n\r\n" if length is None else f"Content-Length: {length}\r\n\r\n"
        )
        port = int(self.url.rpartition(":")[2])
        connection = socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S)
        connection.sendall(head.encode() + begin)
        return connection

    def row(self, upload: dict[str, Any]) -> Upload:
        with self.services.database.read() as session:
            found = session.get(Upload, upload["uploadId"])
            assert found is not None
            return found

    def change(self, upload: dict[str, Any], **values: Any) -> None:
        with self.services.database.write() as session:
            session.execute(update(Upload).where(Upload.id == upload["uploadId"]).values(values))

    def stored(self) -> list[str]:
        return [file.key for file in self.services.storage.list_prefix()]

    def files(self) -> list[Path]:
        """Return all files in the storage's folder, including those the storage does not list."""
        return [path for path in (self.services.settings.data_dir / "files").rglob("*") if path.is_file()]

    def wait(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not done():
            assert time.monotonic() < deadline, "what the test waits for does not happen"
            time.sleep(0.02)


@contextmanager
def serve(folder: Path, **settings: Any) -> Iterator[Server]:
    """Run a server with its data in ``folder``."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        services = Services(Settings(data_dir=folder, public_url=url, create_limit=100_000, **settings))
        with services.database.write() as session:
            account = services.accounts.create_account(session, "someone@example.org")
            key = services.accounts.create_key(session, account.id, "test")[1]
        app = create_app(services)
        running = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not running.started and thread.is_alive():
                time.sleep(0.01)
            yield Server(services, account.id, key, url, app)
        finally:
            running.should_exit = True
            thread.join(timeout=LIMIT_S)
            services.close()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the response of a request that is refused while sending."""
    monkeypatch.setattr(upload_body, "DRAIN_SECONDS", LIMIT_S)


@pytest.fixture(scope="module")
def running_server(
    databases: Callable[[], Database], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server") / "data"
    with serve(folder, database_url=databases().url, max_source_bytes=30_000_000) as server:
        yield server


@pytest.fixture(scope="module")
def s3_server_running(
    databases: Callable[[], Database], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, Proxy]]:
    """A server with files in S3, behind a proxy that can fail."""
    folder = tmp_path_factory.mktemp("s3")
    with s3_server(folder / "s3") as url, pytest.MonkeyPatch.context() as patched:
        proxy = Proxy(url)
        try:
            use(proxy.url, patched)
            with serve(folder / "data", database_url=databases().url, storage_url=f"s3://{BUCKET}") as server:
                yield server, proxy
        finally:
            proxy.close()


@pytest.fixture
def server(running_server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The server with an empty storage."""
    monkeypatch.setenv("NO_PROXY", "*")
    yield running_server
    running_server.services.storage.delete_prefix("uploads")


@pytest.fixture
def on_s3(
    s3_server_running: tuple[Server, Proxy], monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Server, Proxy]]:
    """The server on S3 with an empty storage and no failures."""
    server, proxy = s3_server_running
    monkeypatch.setenv("NO_PROXY", "*")
    yield server, proxy
    proxy.fault = lambda method, path: None
    for stored in list(server.services.storage.list_prefix()):
        server.services.storage.delete(stored.key)
