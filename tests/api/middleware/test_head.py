from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from stemsplitter.api.event_stream import OpenStreams
from tests.api.routes.test_splits import client
from tests.splits.conftest import Create, account, create, services, settings, song, tiny_store, upload

__all__ = ["account", "client", "create", "services", "settings", "song", "tiny_store", "upload"]

PATHS = [
    "/", "/sign-in", "/docs", "/status", "/healthz", "/readyz", "/metrics", "/openapi.json", "/openapi.yaml",
    "/postman.json", "/v1/credits", "/v1/models", "/v1/audio/splits",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_n11_head_has_the_status_and_headers_of_get(client: TestClient, path: str) -> None:
    got, head = (client.request(method, path, follow_redirects=False) for method in ("GET", "HEAD"))
    assert got.status_code < 400
    assert (head.status_code, head.content) == (got.status_code, b"")
    for name in ("content-type", "content-security-policy", "ratelimit-policy"):
        assert head.headers.get(name) == got.headers.get(name)
    if path != "/metrics":  # which counts the requests
        assert head.headers["content-length"] == got.headers["content-length"]


def test_n11_head_of_a_split_and_of_its_event_stream_ends(client: TestClient, create: Create) -> None:
    split_id = create()
    assert client.head(f"/v1/audio/splits/{split_id}").status_code == 200
    app: Any = client.app
    app.state.open_streams = OpenStreams(1)
    for _ in range(2):  # the split never ends, and no stream stays open
        head = client.head(f"/v1/audio/splits/{split_id}/events")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"].startswith("text/event-stream")


@pytest.mark.parametrize("path", ["/healthz", "/v1/audio/splits", "/manual/api", "/nowhere"])
def test_n11_the_server_sends_the_response_as_that_of_head(client: TestClient, path: str) -> None:
    """It closes the connection of a GET whose body is shorter than its Content-Length."""
    methods = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def recorded(message: Message) -> None:
            methods.append(scope["method"])
            await send(message)

        await client.app(scope, receive, recorded)

    TestClient(app, base_url=str(client.base_url), headers=client.headers).head(path)
    assert methods == ["HEAD", "HEAD"]


def test_n11_head_reports_the_errors_of_get(client: TestClient) -> None:
    assert client.head("/v1/credits", headers={"Authorization": ""}).status_code == 401
    assert client.head("/v1/nothing").status_code == client.head("/nothing").status_code == 404
    assert client.head("/v1/audio/splits/split_0Yx3kQpAb2Jd7MfTn5Rv8W/cancel").status_code == 405
