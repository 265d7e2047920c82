from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from stemsplitter.errors import SettingsError
from stemsplitter.processes.app import create_app
from stemsplitter.services import Services
from stemsplitter.settings import load_settings

from ..conftest import Account

ORIGIN = "https://shop.example.com"
ALLOW = "access-control-allow-origin"


@pytest.fixture
def open_client(services: Services) -> Callable[[str], TestClient]:
    def make(origins: str) -> TestClient:
        changed: Any = services.settings
        found = load_settings(cors_origins=origins).cors_origins
        services.settings = changed.model_copy(update={"cors_origins": found})
        return TestClient(create_app(services))

    return make


def preflight(client: TestClient, path: str, origin: str, method: str, headers: str) -> Any:
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return client.options(path, headers={"Origin": origin, **asked})


@pytest.mark.parametrize(
    ("path", "method", "headers"),
    [
        ("/v1/audio/splits", "POST", "authorization,content-type,idempotency-key"),
        ("/v1/audio/splits/split_1", "DELETE", "authorization"),
        ("/uploads/upl_1", "PUT", "content-type,x-upload-token"),
        ("/uploads/upl_1", "PATCH", "content-type,upload-complete,upload-offset,x-upload-token"),
    ],
)
def test_n8_preflight_of_an_allowed_origin_succeeds(
    open_client: Callable[[str], TestClient], path: str, method: str, headers: str
) -> None:
    client = open_client(f"{ORIGIN}, http://localhost:5173")
    for origin in (ORIGIN, "http://localhost:5173"):
        response = preflight(client, path, origin, method, headers)
        assert (response.status_code, response.headers[ALLOW]) == (200, origin)
        assert method in response.headers["access-control-allow-methods"]
        assert "access-control-allow-credentials" not in response.headers
    refused = preflight(client, path, "https://other.example.com", method, headers)
    assert refused.status_code == 400 and ALLOW not in refused.headers


def test_n8_responses_and_errors_are_readable_by_an_allowed_origin_only(
    open_client: Callable[[str], TestClient], account: Account
) -> None:
    client = open_client(ORIGIN)
    for headers, status in ((account.headers, 200), ({}, 401)):
        response = client.get("/v1/credits", headers={**headers, "Origin": ORIGIN})
        assert (response.status_code, response.headers[ALLOW]) == (status, ORIGIN)
        assert "X-Request-Id" in response.headers["access-control-expose-headers"]
        assert (
            ALLOW not in client.get("/v1/credits", headers={**headers, "Origin": "https://o.example"}).headers
        )
    assert client.put("/uploads/upl_1", headers={"Origin": ORIGIN}).headers[ALLOW] == ORIGIN
    assert ALLOW not in client.get("/sign-in", headers={"Origin": ORIGIN}).headers


def test_n8_no_origin_is_allowed_by_default(client: TestClient, account: Account) -> None:
    response = client.get("/v1/credits", headers={**account.headers, "Origin": ORIGIN})
    assert response.status_code == 200 and ALLOW not in response.headers
    assert ALLOW not in preflight(client, "/v1/credits", ORIGIN, "GET", "authorization").headers


def test_n8_signed_file_is_readable_by_every_origin(client: TestClient, services: Services) -> None:
    services.storage.put_stream("a.mp3", [b"sound"], "audio/mpeg")
    url = services.storage.signed_url("a.mp3", "a.mp3", "audio/mpeg", 600)
    path = "/files/" + url.partition("/files/")[2]
    response = client.get(path, headers={"Origin": ORIGIN, "Range": "bytes=1-2"})
    assert (response.status_code, response.content, response.headers[ALLOW]) == (206, b"ou", "*")
    asked = preflight(client, path, ORIGIN, "GET", "range")
    assert (asked.status_code, asked.headers[ALLOW]) == (200, "*")


@pytest.mark.parametrize("origins", ["shop.example.com", "https://a.example/", "https://a.example/x", "null"])
def test_n8_invalid_origin_is_refused_at_startup(origins: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^STEMSPLITTER_CORS_ORIGINS is .*: must be origins such as"):
        load_settings(cors_origins=origins, data_dir=tmp_path)
