from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from starlette.responses import Response

from stemsplitter.api.downloads import download_response, file_response
from stemsplitter.storage import Storage
from stemsplitter.storage.errors import FileMissing
from tests.storage.conftest import folder_storage, s3, s3_storage, storage

__all__ = ["folder_storage", "s3", "s3_storage", "storage"]

DATA = bytes(range(256)) * 10
KEY = "splits/split_1/stems/vocals.mp3"


@pytest.fixture
def client(storage: Storage) -> TestClient:
    app = FastAPI()
    storage.put_stream(KEY, [DATA], "audio/mpeg")

    @app.api_route("/{name}", methods=["GET", "HEAD"])
    def get(request: Request, name: str) -> Response:
        try:
            return file_response(
                request, storage, f"splits/split_1/stems/{name}", "audio/mpeg", "ü.mp3", "private"
            )
        except FileMissing:
            return Response(status_code=404)

    return TestClient(app)


@pytest.mark.parametrize(
    ("asked", "status", "start", "end"),
    [
        (None, 200, 0, 2560),
        ("bytes=0-", 206, 0, 2560),
        ("bytes=0-99", 206, 0, 100),
        ("bytes=2500-9999", 206, 2500, 2560),
        ("bytes=-60", 206, 2500, 2560),
        ("bytes=5-4", 200, 0, 2560),
        ("bytes=0-1,4-5", 200, 0, 2560),
        ("lines=1-2", 200, 0, 2560),
    ],
)
def test_response_is_the_file_or_one_range(
    client: TestClient, asked: str | None, status: int, start: int, end: int
) -> None:
    headers = {"Range": asked} if asked else {}
    answer = client.get("/vocals.mp3", headers=headers)
    assert (answer.status_code, answer.content) == (status, DATA[start:end])
    assert answer.headers["content-length"] == str(end - start)
    assert answer.headers["content-type"] == "audio/mpeg"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-disposition"].endswith("filename*=UTF-8''%C3%BC.mp3")
    assert answer.headers["cache-control"] == "private"
    assert answer.headers["x-content-type-options"] == "nosniff"
    if status == 206:
        assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/2560"


def test_range_after_the_end_is_416(client: TestClient) -> None:
    answer = client.get("/vocals.mp3", headers={"Range": "bytes=2560-"})
    assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */2560")


def test_matching_etag_is_304(client: TestClient) -> None:
    first = client.get("/vocals.mp3")
    known = client.get("/vocals.mp3", headers={"If-None-Match": first.headers["etag"]})
    assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", first.headers["etag"])
    assert client.get("/vocals.mp3", headers={"If-None-Match": '"other"'}).status_code == 200


def test_if_range_of_another_version_returns_the_whole_file(client: TestClient) -> None:
    tag = client.get("/vocals.mp3").headers["etag"]
    part = client.get("/vocals.mp3", headers={"Range": "bytes=0-9", "If-Range": tag})
    assert (part.status_code, part.content) == (206, DATA[:10])
    whole = client.get("/vocals.mp3", headers={"Range": "bytes=0-9", "If-Range": '"other"'})
    assert (whole.status_code, whole.content) == (200, DATA)


def test_empty_file_is_returned(client: TestClient, storage: Storage) -> None:
    storage.put_stream("splits/split_1/stems/empty.mp3", [], "audio/mpeg")
    assert (client.get("/empty.mp3").status_code, client.get("/empty.mp3").content) == (200, b"")


def test_download_from_s3_is_redirected(s3_storage: Storage) -> None:
    s3_storage.put_stream(KEY, [DATA], "audio/mpeg")
    app = FastAPI()

    @app.api_route("/{name}", methods=["GET", "HEAD"])
    def get(request: Request, name: str) -> Response:
        return download_response(request, s3_storage, KEY, "audio/mpeg", "ü.mp3", "private")

    client = TestClient(app, follow_redirects=False)
    answer = client.get("/vocals.mp3")
    assert (answer.status_code, answer.headers["cache-control"]) == (307, "no-store")
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    assert query["response-content-type"] == ["audio/mpeg"]
    assert query["response-content-disposition"][0].endswith("filename*=UTF-8''%C3%BC.mp3")
    with httpx.Client(trust_env=False, timeout=60) as store:
        assert store.get(answer.headers["location"]).content == DATA
        part = store.get(answer.headers["location"], headers={"Range": "bytes=5-9"})
    assert (part.status_code, part.content) == (206, DATA[5:10])
    assert client.head("/vocals.mp3").status_code == 200  # a signature is valid for one method only
    s3_storage.delete(KEY)
    with pytest.raises(FileMissing):
        client.get("/vocals.mp3")


def test_head_has_no_body(client: TestClient) -> None:
    answer = client.head("/vocals.mp3")
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "2560")


def test_missing_file_is_404(client: TestClient) -> None:
    assert client.get("/drums.mp3").status_code == 404
