"""The wire contract of the API, on a live server."""

import json
import re
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from .api_client import REQUEST_S, TIME, ApiClient
from .server import Server
from .songs import read
from .tiny_model import TINY_MODEL

SECONDS = 2


@pytest.fixture
def api(server: Server, key: str) -> Iterator[ApiClient]:
    with ApiClient(server, key) as opened:
        yield opened


def test_credits_response(api: ApiClient) -> None:
    answer = api("GET", "/credits")
    assert answer.content == b'{"success":true,"data":{"balance":100000,"unit":"seconds"}}'


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer ast_live_nobody", "ast_live_nobody"])
def test_invalid_key_is_unauthorized(api: ApiClient, authorization: str) -> None:
    error = api.error(401, "UNAUTHORIZED", "GET", "/credits", headers={"Authorization": authorization})
    assert error["message"] == "Missing or invalid API key"


def test_split_has_contract_fields_in_order(api: ApiClient, site: str) -> None:
    answer = api("POST", "/audio/splits", json={"input": {"type": "direct_url", "url": f"{site}/Größe.flac"}})
    created = answer.json()["data"]
    assert list(created) == ["id", "status", "creditsUsed", "createdAt"]
    assert created["id"].startswith("split_") and created["status"] == "queued"
    assert created["creditsUsed"] == SECONDS and TIME.fullmatch(created["createdAt"])
    split = api.wait_for_end(created["id"])
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
    # clients may take the first textual match of a key: no object may precede the last scalar
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
        assert httpx2.get(url, timeout=REQUEST_S).status_code == 200


@pytest.mark.parametrize(
    ("name", "model"),
    [("4s", "4s"), ("6s", "6s"), ("htdemucs", "4s"), ("htdemucs_ft", "4s"), ("htdemucs_6s", "6s")],
)
def test_stem_models_and_aliases(api: ApiClient, song: Path, name: str, model: str) -> None:
    split = api.wait_for_end(api.create_split(song, stemModel=name)["id"])
    assert (split["status"], split["stemModel"]) == ("succeeded", model)
    assert len(split["stems"]) == int(model[0])


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_upload_by_post_or_put_is_used_once(api: ApiClient, song: Path, method: str) -> None:
    used = api.upload(song, method)
    assert api.data("POST", "/audio/splits", json={"input": used})["creditsUsed"] == SECONDS
    api.error(409, "CONFLICT", "POST", "/audio/splits", json={"input": used})


def test_upload_url_errors_are_flat(api: ApiClient, server: Server) -> None:
    reservation = api.data(
        "POST",
        "/audio/uploads",
        json={"filename": "a.mp3", "contentType": "audio/mpeg", "contentLength": 10},
    )
    for headers, status in (({}, 401), (reservation["uploadHeaders"], 422)):
        sent = httpx2.post(reservation["uploadUrl"], content=b"0" * 11, headers=headers, timeout=REQUEST_S)
        assert sent.status_code == status
        assert list(sent.json()) == ["success", "error", "message"]
        assert sent.json()["success"] is False and isinstance(sent.json()["error"], str)


def test_insufficient_credits(server: Server, site: str, api: ApiClient) -> None:
    key = server.new_key("poor@example.org")
    server.command("credits", "deduct", "poor@example.org", "99999")
    body = {"input": {"type": "direct_url", "url": f"{site}/song.flac"}}
    with ApiClient(server, key) as poor:
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
def test_invalid_split_is_refused(api: ApiClient, site: str, body: Any) -> None:
    filled = json.loads(json.dumps(body).replace("{site}", site))
    error = api.error(422, "VALIDATION_ERROR", "POST", "/audio/splits", json=filled)
    assert error["message"].endswith(".") and len(error["message"]) < 500
    assert api.data("GET", "/credits")["balance"] == 100_000


def test_framework_errors_use_the_envelope(api: ApiClient) -> None:
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


def test_idempotency_key_replays_response(api: ApiClient, song: Path) -> None:
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


def test_every_response_has_rate_limit_and_request_id_headers(api: ApiClient) -> None:
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
def test_output_formats_and_ranges(
    api: ApiClient, song: Path, format_: str, depth: str | None, mime: str
) -> None:
    options = {"outputFormat": format_, "stems": ["vocals", "instrumental"]}
    split = api.wait_for_end(
        api.create_split(song, **options, **({"bitDepth": depth} if depth else {}))["id"]
    )
    assert list(split["stems"]) == ["vocals", "instrumental"]
    for stem, url in split["stems"].items():
        answer = httpx2.get(url, timeout=REQUEST_S)
        assert answer.headers["content-type"] == mime
        assert f"{stem}.{format_}" in answer.headers["content-disposition"]
        part = httpx2.get(url, headers={"Range": "bytes=0-3"}, timeout=REQUEST_S)
        assert (part.status_code, part.content) == (206, answer.content[:4])


def test_splits_are_listed_with_metadata_and_deleted(api: ApiClient, song: Path) -> None:
    made = [api.create_split(song, metadata={"number": str(number)})["id"] for number in range(3)]
    first = api.data("GET", "/audio/splits?limit=2")
    assert [each["id"] for each in first["items"]] == made[:0:-1]
    rest = api.data("GET", f"/audio/splits?limit=2&cursor={first['nextCursor']}")
    assert [each["id"] for each in rest["items"]] == made[:1] and rest["nextCursor"] is None
    split = api.wait_for_end(made[0])
    assert split["metadata"] == {"number": "0"}
    api.data("DELETE", f"/audio/splits/{made[0]}")
    api.error(404, "NOT_FOUND", "GET", f"/audio/splits/{made[0]}")
    for url in split["stems"].values():
        assert httpx2.get(url, timeout=REQUEST_S).status_code == 404


def test_cancel_refunds_credits(api: ApiClient, long_song: Path) -> None:
    created = api.create_split(long_song)
    assert api.data("GET", "/credits")["balance"] == 100_000 - 600
    api.data("POST", f"/audio/splits/{created['id']}/cancel")
    split = api.wait_for_end(created["id"])
    assert (split["status"], split["error"]["code"]) == ("failed", "CANCELED")
    assert "stems" not in split and list(split["error"]) == ["code", "message"]
    assert api.data("GET", "/credits")["balance"] == 100_000


def test_events_stream_progress_until_end(api: ApiClient, song: Path) -> None:
    created = api.create_split(song)
    answer = api("GET", f"/audio/splits/{created['id']}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = [
        json.loads(line.removeprefix("data:"))
        for line in answer.text.splitlines()
        if line.startswith("data:")
    ]
    progress = [each["progress"] for each in told]
    assert progress == sorted(progress) and told[-1]["status"] == "succeeded"


def test_archive_contains_all_stems(api: ApiClient, song: Path, tmp_path: Path) -> None:

    split = api.wait_for_end(api.create_split(song)["id"])
    answer = api("GET", f"/audio/splits/{split['id']}/archive", follow_redirects=True)
    assert answer.status_code == 200
    (tmp_path / "stems.zip").write_bytes(answer.content)
    with zipfile.ZipFile(tmp_path / "stems.zip") as archive:
        assert archive.testzip() is None
        assert {Path(name).stem.split(" ")[-1] for name in archive.namelist()} >= {"vocals", "other"}


def test_stem_in_flac_is_the_same_before_and_after_flac_replaces_raw_masters(
    server: Server, api: ApiClient, song: Path, tmp_path: Path
) -> None:
    split_id = api.create_split(song)["id"]
    api.wait_for_end(split_id)
    path = f"/audio/splits/{split_id}"

    def stem() -> tuple[Any, int]:
        while (
            answer := api("GET", f"{path}/stems/vocals?format=flac", follow_redirects=True)
        ).status_code == 202:
            time.sleep(0.2)
        file = tmp_path / "vocals.flac"
        file.write_bytes(answer.content)
        return read(file)

    before, rate = stem()
    while "levels" not in api.data("GET", path):
        time.sleep(0.2)
    ((masters,),) = server.query("SELECT CAST(masters AS TEXT) FROM jobs WHERE id = :id", id=split_id)
    assert {Path(master["key"]).suffix for master in json.loads(masters).values()} == {".flac"}
    after, _ = stem()
    assert len(before[0]) > rate and (before == after).all()


def test_descriptions_health_metrics_and_models(server: Server, api: ApiClient) -> None:
    assert httpx2.get(f"{server.url}/openapi.json", timeout=REQUEST_S).json()["openapi"] == "3.1.0"
    for path in ("/openapi.yaml", "/postman.json", "/docs", "/healthz", "/readyz", "/metrics"):
        assert httpx2.get(server.url + path, timeout=REQUEST_S).status_code == 200
    models = api.data("GET", "/models")["items"]
    assert any(model["name"] == TINY_MODEL and model["ready"] for model in models)
