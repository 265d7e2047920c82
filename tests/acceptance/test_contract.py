"""Every row of the API's contract, over the wire, to the letter."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from .fleet import Fleet
from .server import Server

SECONDS = 2
LIMIT_S = 120
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class Api:
    """Calls ``/v1`` with a key."""

    def __init__(self, server: Server, key: str) -> None:
        self.server = server
        # a connection for each request: where there are several APIs, it goes to another than the last
        self._client = httpx2.Client(
            base_url=server.url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=LIMIT_S,
            limits=httpx2.Limits(max_keepalive_connections=0),
        )

    def __enter__(self) -> "Api":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def __call__(self, method: str, path: str, **options: Any) -> httpx2.Response:
        return self._client.request(method, f"/v1{path}", **options)

    def data(self, method: str, path: str, **options: Any) -> Any:
        answer = self(method, path, **options)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/json"
        body = answer.json()
        assert list(body) == ["success", "data"] and body["success"] is True
        return body["data"]

    def error(self, status: int, code: str, method: str, path: str, **options: Any) -> Any:
        answer = self(method, path, **options)
        assert answer.status_code == status, answer.text
        body = answer.json()
        assert list(body) == ["success", "error"] and body["success"] is False
        assert list(body["error"])[:2] == ["code", "message"]
        assert body["error"]["code"] == code
        return body["error"]

    def upload(self, song: Path, method: str = "POST", name: str = "song.flac") -> dict[str, Any]:
        """The `input` of a split of ``song``."""
        content = song.read_bytes()
        reservation = self.data(
            "POST",
            "/audio/uploads",
            json={"filename": name, "contentType": "audio/flac", "contentLength": len(content)},
        )
        in_s3 = ["directUpload"] if isinstance(self.server, Fleet) else []
        assert list(reservation) == ["uploadId", "uploadUrl", "uploadHeaders", "expiresAt", *in_s3]
        assert reservation["uploadId"].startswith("upl_")
        assert list(reservation["uploadHeaders"]) == ["X-Upload-Token"]
        assert TIME.fullmatch(reservation["expiresAt"])
        headers = reservation["uploadHeaders"] | {"Content-Type": "audio/flac"}
        sent = httpx2.request(
            method, reservation["uploadUrl"], content=content, headers=headers, timeout=LIMIT_S
        )
        assert sent.status_code == 200, sent.text
        assert list(sent.json()) == ["success", "data"] and list(sent.json()["data"]) == ["url", "key"]
        return {
            "type": "uploaded_file",
            "uploadId": reservation["uploadId"],
            "fileUrl": sent.json()["data"]["url"],
            "storageKey": sent.json()["data"]["key"],
        }

    def split(self, song: Path, **options: Any) -> Any:
        return self.data("POST", "/audio/splits", json={"input": self.upload(song)} | options)

    def ended(self, split_id: str) -> Any:
        end = time.monotonic() + LIMIT_S
        while time.monotonic() < end:
            split = self.data("GET", f"/audio/splits/{split_id}")
            if split["status"] in ("succeeded", "failed"):
                return split
            time.sleep(0.1)
        raise AssertionError(f"not ended: {split}")


@pytest.fixture
def api(server: Server, key: str) -> Iterator[Api]:
    with Api(server, key) as opened:
        yield opened


def test_credits(api: Api) -> None:
    answer = api("GET", "/credits")
    assert answer.content == b'{"success":true,"data":{"balance":100000,"unit":"seconds"}}'


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer ast_live_nobody", "ast_live_nobody"])
def test_unauthorized(api: Api, authorization: str) -> None:
    error = api.error(401, "UNAUTHORIZED", "GET", "/credits", headers={"Authorization": authorization})
    assert error["message"] == "Missing or invalid API key"


def test_a_split_from_a_url_has_the_contracts_fields_in_its_order(api: Api, site: str) -> None:
    answer = api("POST", "/audio/splits", json={"input": {"type": "direct_url", "url": f"{site}/Größe.flac"}})
    created = answer.json()["data"]
    assert list(created) == ["id", "status", "creditsUsed", "createdAt"]
    assert created["id"].startswith("split_") and created["status"] == "queued"
    assert created["creditsUsed"] == SECONDS and TIME.fullmatch(created["createdAt"])
    split = api.ended(created["id"])
    raw = api("GET", f"/audio/splits/{created['id']}").text
    scalars = [
        "id",
        "status",
        "stemModel",
        "filename",
        "durationSeconds",
        "creditsUsed",
        "createdAt",
        "updatedAt",
    ]
    assert list(split)[: len(scalars)] == scalars
    # a client takes the first textual match of a key: nothing nested may come before the last scalar
    nested = [name for name, value in split.items() if isinstance(value, dict | list)]
    first_nested = min(list(split).index(name) for name in nested)
    assert all(not isinstance(split[name], str | int) for name in list(split)[first_nested:])
    for name in scalars:
        assert raw.index(f'"{name}"') == min(match.start() for match in re.finditer(f'"{name}"', raw))
    assert "\\u" not in raw and "\\/" not in raw and "Größe" in raw
    assert split["status"] == "succeeded" and split["error"] is None
    assert (split["stemModel"], split["durationSeconds"], split["creditsUsed"]) == ("6s", SECONDS, SECONDS)
    assert split["outputFormat"] == "mp3" and split["progress"] == 100
    assert list(split["stems"]) == ["vocals", "drums", "bass", "guitar", "piano", "other"]
    assert list(split["model"]) == ["name", "licence"]
    assert list(split["processing"]) == ["device", "seconds", "realtimeFactor"]
    for url in split["stems"].values():
        assert httpx2.get(url, timeout=LIMIT_S).status_code == 200


@pytest.mark.parametrize(
    ("name", "model"),
    [("4s", "4s"), ("6s", "6s"), ("htdemucs", "4s"), ("htdemucs_ft", "4s"), ("htdemucs_6s", "6s")],
)
def test_models_and_their_aliases(api: Api, song: Path, name: str, model: str) -> None:
    split = api.ended(api.split(song, stemModel=name)["id"])
    assert (split["status"], split["stemModel"]) == ("succeeded", model)
    assert len(split["stems"]) == int(model[0])


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_uploads_by_either_method_and_once(api: Api, song: Path, method: str) -> None:
    used = api.upload(song, method)
    assert api.data("POST", "/audio/splits", json={"input": used})["creditsUsed"] == SECONDS
    api.error(409, "CONFLICT", "POST", "/audio/splits", json={"input": used})


def test_errors_of_the_upload_url_are_flat(api: Api, server: Server) -> None:
    reservation = api.data(
        "POST",
        "/audio/uploads",
        json={"filename": "a.mp3", "contentType": "audio/mpeg", "contentLength": 10},
    )
    for headers, status in (({}, 401), (reservation["uploadHeaders"], 422)):
        sent = httpx2.post(reservation["uploadUrl"], content=b"0" * 11, headers=headers, timeout=LIMIT_S)
        assert sent.status_code == status
        assert list(sent.json()) == ["success", "error", "message"]
        assert sent.json()["success"] is False and isinstance(sent.json()["error"], str)


def test_too_little_credit(server: Server, site: str, api: Api) -> None:
    key = server.new_key("poor@example.org")
    server.command("credits", "deduct", "poor@example.org", "99999")
    body = {"input": {"type": "direct_url", "url": f"{site}/song.flac"}}
    with Api(server, key) as poor:
        error = poor.error(402, "INSUFFICIENT_CREDITS", "POST", "/audio/splits", json=body)
        assert (error["requiredSeconds"], error["balance"]) == (SECONDS, 1)
        assert poor.data("GET", "/credits")["balance"] == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"input": {}},
        {"input": {"type": "direct_url"}},
        {"input": {"type": "direct_url", "url": "not a url"}},
        {"input": {"type": "direct_url", "url": "file:///etc/passwd"}},
        {"input": {"type": "direct_url", "url": "{site}/missing.mp3"}},
        {"input": {"type": "direct_url", "url": "{site}/page.mp3"}},
        {"input": {"type": "direct_url", "url": "{site}/song.flac"}, "stemModel": "5s"},
        {"input": {"type": "direct_url", "url": "{site}/song.flac"}, "outputFormat": "wma"},
        {"input": {"type": "direct_url", "url": "{site}/song.flac"}, "webhookUrl": "ftp://example.com"},
        {"input": {"type": "direct_url", "url": "{site}/song.flac"}, "stems": ["voice"]},
        {"input": {"type": "direct_url", "url": "{site}/song.flac"}, "metadata": {"a": 1}},
        {"input": {"type": "uploaded_file", "uploadId": "upl_x", "fileUrl": "x", "storageKey": "x"}},
    ],
)
def test_validation(api: Api, site: str, body: Any) -> None:
    filled = json.loads(json.dumps(body).replace("{site}", site))
    error = api.error(422, "VALIDATION_ERROR", "POST", "/audio/splits", json=filled)
    assert error["message"].endswith(".") and len(error["message"]) < 500
    assert api.data("GET", "/credits")["balance"] == 100_000


def test_framework_answers_are_in_the_envelope(api: Api) -> None:
    api.error(404, "NOT_FOUND", "GET", "/nothing")
    api.error(404, "NOT_FOUND", "GET", "/audio/splits/split_nothing")
    api.error(405, "METHOD_NOT_ALLOWED", "PATCH", "/credits")
    json_type = {"Content-Type": "application/json"}
    api.error(422, "VALIDATION_ERROR", "POST", "/audio/splits", content=b"{", headers=json_type)
    api.error(413, "PAYLOAD_TOO_LARGE", "POST", "/audio/splits", content=b" " * 100_000, headers=json_type)
    api.error(
        415,
        "UNSUPPORTED_MEDIA_TYPE",
        "POST",
        "/audio/splits",
        content=b"{}",
        headers={"Content-Type": "text/plain"},
    )


def test_idempotency(api: Api, song: Path) -> None:
    body = {"input": api.upload(song)}
    first = api("POST", "/audio/splits", json=body, headers={"Idempotency-Key": "a key"})
    again = api("POST", "/audio/splits", json=body, headers={"Idempotency-Key": '"a key"'})
    assert (first.status_code, first.content) == (again.status_code, again.content) == (200, first.content)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    other = body | {"stemModel": "4s"}
    headers = {"Idempotency-Key": "a key"}
    api.error(422, "VALIDATION_ERROR", "POST", "/audio/splits", json=other, headers=headers)
    assert api.data("GET", "/credits")["balance"] == 100_000 - SECONDS


def test_every_answer_has_its_headers(api: Api) -> None:
    for path in ("/credits", "/nothing"):
        headers = api("GET", path).headers
        for name in (
            "ratelimit-policy",
            "ratelimit",
            "x-ratelimit-limit",
            "x-ratelimit-remaining",
            "x-request-id",
        ):
            assert headers[name]


@pytest.mark.parametrize(
    ("format_", "depth", "mime"),
    [
        ("wav", "32f", "audio/wav"),
        ("flac", "16", "audio/flac"),
        ("ogg", None, "audio/ogg"),
        ("m4a", None, "audio/mp4"),
    ],
)
def test_formats(api: Api, song: Path, format_: str, depth: str | None, mime: str) -> None:
    options = {"outputFormat": format_, "stems": ["vocals", "instrumental"]}
    split = api.ended(api.split(song, **options, **({"bitDepth": depth} if depth else {}))["id"])
    assert list(split["stems"]) == ["vocals", "instrumental"]
    for stem, url in split["stems"].items():
        answer = httpx2.get(url, timeout=LIMIT_S)
        assert answer.headers["content-type"] == mime
        assert f"{stem}.{format_}" in answer.headers["content-disposition"]
        part = httpx2.get(url, headers={"Range": "bytes=0-3"}, timeout=LIMIT_S)
        assert (part.status_code, part.content) == (206, answer.content[:4])


def test_list_metadata_delete(api: Api, song: Path) -> None:
    made = [api.split(song, metadata={"number": str(number)})["id"] for number in range(3)]
    first = api.data("GET", "/audio/splits?limit=2")
    assert [each["id"] for each in first["items"]] == made[:0:-1]
    rest = api.data("GET", f"/audio/splits?limit=2&cursor={first['nextCursor']}")
    assert [each["id"] for each in rest["items"]] == made[:1] and rest["nextCursor"] is None
    split = api.ended(made[0])
    assert split["metadata"] == {"number": "0"}
    api.data("DELETE", f"/audio/splits/{made[0]}")
    api.error(404, "NOT_FOUND", "GET", f"/audio/splits/{made[0]}")
    for url in split["stems"].values():
        assert httpx2.get(url, timeout=LIMIT_S).status_code == 404


def test_cancel_gives_the_credits_back(api: Api, long_song: Path) -> None:
    content = long_song.read_bytes()
    reservation = api.data(
        "POST",
        "/audio/uploads",
        json={"filename": "Long.wav", "contentType": "audio/wav", "contentLength": len(content)},
    )
    headers = reservation["uploadHeaders"] | {"Content-Type": "audio/wav"}
    sent = httpx2.put(reservation["uploadUrl"], content=content, headers=headers, timeout=LIMIT_S).json()[
        "data"
    ]
    source = {"type": "uploaded_file", "uploadId": reservation["uploadId"]}
    source |= {"fileUrl": sent["url"], "storageKey": sent["key"]}
    created = api.data("POST", "/audio/splits", json={"input": source})
    assert api.data("GET", "/credits")["balance"] == 100_000 - 600
    api.data("POST", f"/audio/splits/{created['id']}/cancel")
    split = api.ended(created["id"])
    assert (split["status"], split["error"]["code"]) == ("failed", "CANCELED")
    assert "stems" not in split and list(split["error"]) == ["code", "message"]
    assert api.data("GET", "/credits")["balance"] == 100_000


def test_events_tell_status_and_progress_until_the_end(api: Api, song: Path) -> None:
    created = api.split(song)
    answer = api("GET", f"/audio/splits/{created['id']}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = [
        json.loads(line.removeprefix("data:"))
        for line in answer.text.splitlines()
        if line.startswith("data:")
    ]
    progress = [each["progress"] for each in told]
    assert progress == sorted(progress) and told[-1]["status"] == "succeeded"


def test_archive(api: Api, song: Path, tmp_path: Path) -> None:
    import zipfile

    split = api.ended(api.split(song)["id"])
    answer = api("GET", f"/audio/splits/{split['id']}/archive", follow_redirects=True)
    assert answer.status_code == 200
    (tmp_path / "stems.zip").write_bytes(answer.content)
    with zipfile.ZipFile(tmp_path / "stems.zip") as archive:
        assert archive.testzip() is None
        assert {Path(name).stem.split(" ")[-1] for name in archive.namelist()} >= {"vocals", "other"}


def test_what_programs_and_operators_read(server: Server, api: Api) -> None:
    assert httpx2.get(f"{server.url}/openapi.json", timeout=LIMIT_S).json()["openapi"] == "3.1.0"
    for path in ("/openapi.yaml", "/postman.json", "/docs", "/healthz", "/readyz", "/metrics"):
        assert httpx2.get(server.url + path, timeout=LIMIT_S).status_code == 200
    models = api.data("GET", "/models")["items"]
    assert any(model["name"] == "tiny_6s" and model["ready"] for model in models)
