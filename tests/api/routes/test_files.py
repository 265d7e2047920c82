from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from stemsplitter.api import errors
from stemsplitter.api.routes.files import router
from stemsplitter.services import Services
from stemsplitter.settings import Settings

DATA = bytes(range(256)) * 1000
KEY = "splits/split_1/vocals.mp3"


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    services = Services(Settings(data_dir=tmp_path, public_url="http://testserver"))
    services.storage.put_stream(KEY, [DATA], "audio/mpeg")
    yield services
    services.close()


@pytest.fixture
def client(services: Services) -> Iterator[TestClient]:
    app = FastAPI()
    app.state.services = services
    errors.install(app)
    app.include_router(router)
    app.state.routes = router.routes
    with TestClient(app) as client:
        yield client


@pytest.fixture
def url(services: Services) -> str:
    return services.storage.signed_url(KEY, "söng (vocals).mp3", "audio/mpeg", 600)


def test_file_is_downloaded(client: TestClient, url: str) -> None:
    answer = client.get(url)
    assert (answer.status_code, answer.content) == (200, DATA)
    headers = answer.headers
    assert headers["Content-Type"] == "audio/mpeg"
    assert headers["Content-Length"] == str(len(DATA))
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["Content-Disposition"] == (
        "attachment; filename=\"s_ng (vocals).mp3\"; filename*=UTF-8''s%C3%B6ng%20%28vocals%29.mp3"
    )
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert 590 <= int(headers["Cache-Control"].removeprefix("private, max-age=")) <= 600


def test_head_has_the_same_headers_and_no_body(client: TestClient, url: str) -> None:
    answer, whole = client.head(url), client.get(url)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers == whole.headers


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-9", 5, 10),
        ("bytes=255999-", 255_999, 256_000),
        ("bytes=1000-9999999999", 1000, 256_000),
        ("bytes=-10", 255_990, 256_000),
        ("bytes=-9999999", 0, 256_000),
        ("Bytes= 5 - 9", 5, 10),
    ],
)
def test_one_range_is_returned(asked: str, start: int, end: int, client: TestClient, url: str) -> None:
    answer = client.get(url, headers={"Range": asked})
    assert (answer.status_code, answer.content) == (206, DATA[start:end])
    assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/256000"
    assert answer.headers["Content-Length"] == str(end - start)
    assert client.head(url, headers={"Range": asked}).status_code == 206


@pytest.mark.parametrize(
    "asked", ["bytes=256000-", "bytes=256000-256001", "bytes=-0", "bytes=99999999999999999-"]
)
def test_range_beyond_the_end_is_416(asked: str, client: TestClient, url: str) -> None:
    answer = client.get(url, headers={"Range": asked})
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == "bytes */256000"


@pytest.mark.parametrize(
    "asked",
    [
        *[
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=9-5",
            "items=0-1",
            "bytes=0-1,5-6",
            "bytes=0x1-2",
        ],
        *["bytes=--1", "bytes=" + "9" * 30 + "-", "bytes=" + ",".join(f"{n}-" for n in range(500))],
    ],
)
def test_other_ranges_return_the_whole_file(asked: str, client: TestClient, url: str) -> None:
    answer = client.get(url, headers={"Range": asked})
    assert (answer.status_code, answer.content) == (200, DATA)


def test_matching_etag_is_304(client: TestClient, url: str) -> None:
    tag = client.get(url).headers["ETag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = client.get(url, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", tag)
    assert client.get(url, headers={"If-None-Match": '"other"'}).status_code == 200


def test_if_range_of_another_version_returns_the_whole_file(
    services: Services, client: TestClient, url: str
) -> None:
    tag = client.get(url).headers["ETag"]
    headers = {"Range": "bytes=0-9", "If-Range": tag}
    assert client.get(url, headers=headers).status_code == 206
    services.storage.put_stream(KEY, [DATA[::-1] + b"more"], "audio/mpeg")
    answer = client.get(url, headers=headers)
    assert (answer.status_code, answer.content) == (200, DATA[::-1] + b"more")


def test_invalid_links_are_not_found(services: Services, client: TestClient, url: str) -> None:
    path = urlsplit(url).path
    _, _, token, name = path.split("/")
    ended = services.storage.signed_url(KEY, "a.mp3", "audio/mpeg", -1)
    missing = services.storage.signed_url("splits/split_2/a.mp3", "a.mp3", "audio/mpeg", 60)
    tries = [ended, missing, f"/files/{token}/other.mp3", f"/files/{token[:-2]}AA/{name}", f"/files/a/{name}"]
    tries += [
        "/files/../secret.key",
        "/files/%2e%2e/secret.key",
        f"/files/{token}",
        f"/files/{KEY}",
        "/files/a/b/c",
    ]
    for address in tries:
        answer = client.get(address)
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "NOT_FOUND"


def test_links_allow_no_writes(client: TestClient, url: str) -> None:
    for method in ("PUT", "POST", "DELETE", "PATCH"):
        assert client.request(method, url, content=b"x").status_code == 405
    assert client.get(url).content == DATA
