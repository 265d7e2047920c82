import hashlib
import json
import re
import subprocess
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from stemsplitter.clock import now
from tests.uploads.conftest import patient, running_server, server

__all__ = ["patient", "running_server", "server"]


def test_reservation_has_the_upload_url_and_headers(server: Any) -> None:
    status, answer = server.reserve()
    data = answer["data"]
    assert (status, list(answer)) == (200, ["success", "data"])
    assert list(data) == ["uploadId", "uploadUrl", "uploadHeaders", "expiresAt"]
    assert re.fullmatch(r"upl_[0-9A-Za-z]{22}", data["uploadId"])
    assert data["uploadUrl"] == f"{server.url}/uploads/{data['uploadId']}"
    assert list(data["uploadHeaders"]) == ["X-Upload-Token", "Content-Type"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", data["expiresAt"])
    left = datetime.fromisoformat(data["expiresAt"]) - now()
    assert timedelta(minutes=55) < left <= timedelta(hours=1)


def test_low_true_is_not_a_number(server: Any) -> None:
    status, answer = server.reserve(contentLength=True)
    assert (status, answer["error"]["param"]) == (422, "contentLength")
    assert answer["error"]["message"] == "contentLength: Input should be a valid integer."


def test_empty_file_is_named_as_one(server: Any) -> None:
    status, answer = server.reserve(contentLength=0)
    message = "contentLength: The file is empty: choose another one, or export it again."
    assert (status, answer["error"]["message"]) == (422, message)


def test_n2_file_is_sent_by_curl_with_the_upload_headers_alone(server: Any, tmp_path: Path) -> None:
    song = tmp_path / "song.mp3"
    song.write_bytes(server.song)
    for how in (["-T", str(song)], ["-X", "PUT", "--data-binary", f"@{song}"], ["--data-binary", f"@{song}"]):
        status, answer = server.reserve(contentType="Audio/MPEG; rate=44100")
        assert (status, answer["data"]["uploadHeaders"]["Content-Type"]) == (200, "audio/mpeg")
        headers = [f"-H{name}: {value}" for name, value in answer["data"]["uploadHeaders"].items()]
        command = ["curl", "--fail-with-body", "-s", *how, *headers, answer["data"]["uploadUrl"]]
        sent = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert sent.returncode == 0, sent.stdout
        assert json.loads(sent.stdout)["data"]["key"]


def test_n2_content_type_sent_in_addition_to_the_upload_headers_is_accepted(server: Any) -> None:
    assert server.send(server.reserved(), Content_Type="audio/mpeg, audio/mpeg")[0] == 200


def test_token_is_stored_as_a_hash(server: Any) -> None:
    upload = server.reserved()
    row = server.row(upload)
    assert row.token_hash == hashlib.sha256(upload["uploadHeaders"]["X-Upload-Token"].encode()).hexdigest()


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"filename": ""}, "filename"),
        ({"filename": "a" * 256}, "filename"),
        ({"filename": "a\0.mp3"}, "filename"),
        ({"contentType": "text/html"}, "contentType"),
        ({"contentType": "image/png"}, "contentType"),
        ({"contentType": "audio"}, "contentType"),
        ({"contentType": "audio/mpeg\r\nX: y"}, "contentType"),
        ({"contentLength": 0}, "contentLength"),
        ({"contentLength": True}, "contentLength"),
        ({"contentLength": -1}, "contentLength"),
        ({"contentLength": 30_000_001}, "contentLength"),
        ({"contentLength": 10**20}, "contentLength"),
        ({"contentLength": "many"}, "contentLength"),
        ({"contentLength": None}, "contentLength"),
    ],
)
def test_invalid_reservation_is_refused_with_its_param(body: dict[str, Any], param: str, server: Any) -> None:
    status, answer = server.reserve(**body)
    assert (status, answer["error"]["code"], answer["error"]["param"]) == (422, "VALIDATION_ERROR", param)


@pytest.mark.parametrize(
    "content_type",
    [
        "audio/mpeg",
        "Audio/MPEG",
        "audio/x-m4a",
        "video/mp4",
        "application/octet-stream",
        "application/ogg",
        "audio/wav; a=b",
    ],
)
def test_audio_and_video_types_are_accepted(content_type: str, server: Any) -> None:
    upload = server.reserved(contentType=content_type)
    assert server.send(upload, Content_Type=content_type)[0] == 200


def test_api_key_is_required_to_reserve(server: Any) -> None:
    status, answer = server.reserve(headers={"Authorization": "Bearer ast_live_no"})
    assert (status, answer["error"]["code"]) == (401, "UNAUTHORIZED")


def test_idempotency_key_reserves_once(server: Any) -> None:
    headers = {"Idempotency-Key": "one"}
    first, second = server.reserve(headers), server.reserve(headers)
    assert first == second
    assert server.reserve(headers, filename="other.mp3")[0] == 422
    assert server.reserve({"Idempotency-Key": "two"}) != first
    assert server.send(first[1]["data"])[0] == 200
