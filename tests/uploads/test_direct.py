"""Uploads sent directly to the storage, and uploads proxied by the server."""

import hashlib
import http.client
import io
import json
import tempfile
import threading
import time
import urllib.error
import urllib.request
import wave
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stemsplitter.clock import now
from stemsplitter.storage import Storage
from stemsplitter.storage.writers import PART_BYTES
from stemsplitter.uploads.service import RETENTION

from ..buckets import BUCKET, use


def song(seconds: float = 1.0, seed: int = 0) -> bytes:
    """A wav file of noise."""
    noise = np.random.default_rng(seed).integers(-9000, 9000, (int(44_100 * seconds), 2), np.int16)
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(44_100)
        file.writeframes(noise.tobytes())
    return data.getvalue()


SONG = song()


@pytest.fixture
def server(on_s3: Any) -> Any:
    return on_s3[0]


def reserved(server: Any, data: bytes = SONG, **body: Any) -> dict[str, Any]:
    named = {"filename": "Söng.WAV", "contentType": "audio/wav", "contentLength": len(data)}
    answer = server.reserved(**{**named, **body})
    assert isinstance(answer, dict)
    return answer


def put(upload: dict[str, Any], data: bytes = SONG, **headers: str) -> int:
    """Send the file to the storage; return the status of the response."""
    direct = upload["directUpload"]
    sent = direct["headers"] | {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(direct["url"], data, sent, method=direct["method"])
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except (OSError, http.client.HTTPException):  # it broke off
        return 0


def create(server: Any, upload: dict[str, Any], **other: str) -> tuple[int, dict[str, Any]]:
    """Create a split of the file sent to the storage."""
    direct = upload["directUpload"]
    source = {"type": "uploaded_file", "uploadId": upload["uploadId"]}
    source |= {"fileUrl": direct["fileUrl"], "storageKey": direct["storageKey"], **other}
    headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"}
    body = json.dumps({"input": source, "stemModel": "6s"}).encode()
    status, answer = server.call("POST", f"{server.url}/v1/audio/splits", body, headers)
    return int(status), answer


def refused(
    answer: tuple[int, dict[str, Any]], status: int, words: str, param: str | None = "input.uploadId"
) -> None:
    assert answer[0] == status
    assert words in answer[1]["error"]["message"]
    assert answer[1]["error"].get("param") == param


def refused_as_taken(answer: tuple[int, dict[str, Any]]) -> None:
    refused(answer, 409, "Another split uses the file", None)


def test_reservation_offers_both_ways(server: Any) -> None:
    upload = reserved(server)
    assert list(upload) == ["uploadId", "uploadUrl", "uploadHeaders", "expiresAt", "directUpload"]
    assert upload["uploadUrl"] == f"{server.url}/uploads/{upload['uploadId']}"
    direct = upload["directUpload"]
    assert list(direct) == ["method", "url", "headers", "fileUrl", "storageKey"]
    assert (direct["method"], direct["headers"]) == ("PUT", {"Content-Type": "audio/wav"})
    assert direct["fileUrl"] == upload["uploadUrl"]
    assert direct["storageKey"] == f"uploads/{upload['uploadId']}/direct.wav"
    assert "X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost" in direct["url"]
    assert "X-Amz-Expires=3600" in direct["url"]


def test_file_sent_to_the_storage_is_split(server: Any) -> None:
    upload = reserved(server)
    assert put(upload) == 200
    status, answer = create(server, upload)
    assert (status, answer["data"]["status"], answer["data"]["creditsUsed"]) == (200, "queued", 1)
    key = f"splits/{answer['data']['id']}/source.wav"
    assert server.stored() == [key]  # the split's own; the original is gone
    assert b"".join(server.services.storage.read(key)) == SONG
    row = server.row(upload)
    assert (row.status, row.storage_key, row.sha256) == ("used", None, hashlib.sha256(SONG).hexdigest())


def test_signature_covers_type_and_length(server: Any) -> None:
    upload = reserved(server)
    assert put(upload, SONG + b"x") == 403
    assert put(upload, SONG[:-1]) == 403
    assert put(upload, Content_Type="text/html") == 403
    assert server.stored() == []
    refused(create(server, upload), 422, "was not received")


def test_missing_file_is_reported(server: Any) -> None:
    upload = reserved(server)
    refused(create(server, upload), 422, "was not received")
    refused(create(server, upload, fileUrl="http://169.254.169.254/"), 422, "fileUrl", "input.fileUrl")
    refused(create(server, upload, storageKey="uploads/upl_other/direct.wav"), 422, "was not received")
    refused(create(server, upload, storageKey="../secret.key"), 422, "was not received")
    assert server.row(upload).status == "reserved"


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        (SONG + b"more", f"has {len(SONG) + 4} bytes and {len(SONG)} were reserved"),
        (SONG[:-1], f"has {len(SONG) - 1} bytes and {len(SONG)} were reserved"),
        (b"<html><body>".ljust(len(SONG)), "This is a web page. Choose an audio or video file."),
    ],
)
def test_file_in_the_storage_is_checked(stored: bytes, words: str, server: Any) -> None:
    upload = reserved(server)
    server.services.storage.put_stream(upload["directUpload"]["storageKey"], [stored], "audio/wav")
    refused(create(server, upload), 422, words)
    assert server.stored() == [upload["directUpload"]["storageKey"]]  # no copy is left
    assert put(upload) == 200  # and the right file still can be sent
    assert create(server, upload)[0] == 200


def test_upload_is_used_once(server: Any) -> None:
    upload = reserved(server)
    assert put(upload) == 200
    assert create(server, upload)[0] == 200
    refused_as_taken(create(server, upload))
    assert put(upload) == 200  # the store does not know
    refused_as_taken(create(server, upload))
    status, answer = server.send(upload, SONG, Content_Type="audio/wav")
    assert (status, answer["error"]) == (409, "UPLOAD_USED")


def test_one_of_concurrent_splits_uses_it(server: Any) -> None:
    upload = reserved(server)
    assert put(upload) == 200
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(create(server, upload)[0])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(set(answers)) == [200, 409] and answers.count(200) == 1
    assert [key.rpartition("/")[2] for key in server.stored()] == ["source.wav"]


def test_overwritten_original_changes_nothing(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = reserved(server)
    assert put(upload) == 200
    copy = server.services.storage.copy

    def overwritten(source: str, target: str) -> int:
        size = copy(source, target)
        assert put(upload, song(seed=1)) == 200
        return int(size)

    monkeypatch.setattr(server.services.storage, "copy", overwritten)
    status, answer = create(server, upload)
    assert status == 200
    key = f"splits/{answer['data']['id']}/source.wav"
    assert b"".join(server.services.storage.read(key)) == SONG
    assert server.row(upload).sha256 == hashlib.sha256(SONG).hexdigest()


def test_file_is_sent_in_one_of_both_ways(server: Any) -> None:
    upload = reserved(server)
    assert put(upload) == 200
    status, sent = server.send(upload, SONG, Content_Type="audio/wav")
    assert status == 200
    refused(create(server, upload), 422, "storageKey does not belong to", "input.storageKey")
    assert create(server, upload, storageKey=sent["data"]["key"])[0] == 200


def test_insufficient_credits_keep_the_file(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = reserved(server)
    assert put(upload) == 200
    with monkeypatch.context() as patched:
        patched.setattr(server.services.credits, "hold", lambda *_: 1 / 0)
        assert create(server, upload)[0] == 500
    assert server.stored() == [upload["directUpload"]["storageKey"]]
    assert create(server, upload)[0] == 200


def test_expired_uploads_are_deleted(server: Any) -> None:
    never, late, taken = reserved(server), reserved(server), reserved(server)
    for upload in (late, taken):
        assert put(upload) == 200
    assert create(server, taken)[0] == 200
    assert put(taken) == 200  # once more, after the split was made
    server.change(late, expires_at=now() - timedelta(minutes=5))
    for upload in (never, late, taken):
        assert server.services.uploads.delete_expired() == 0
        server.change(upload, expires_at=now() - RETENTION - timedelta(seconds=1))
        if upload is taken:
            refused_as_taken(create(server, upload))
        else:
            refused(create(server, upload), 422, "was not received")
        assert server.services.uploads.delete_expired() == 1
    assert [key.rpartition("/")[2] for key in server.stored()] == ["source.wav"]


def test_received_file_is_usable_after_the_reservation_expired(server: Any) -> None:
    upload = reserved(server)
    assert put(upload) == 200
    server.change(upload, expires_at=now() - RETENTION + timedelta(minutes=1))
    assert create(server, upload)[0] == 200


def test_example_of_the_manual_works(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "storage.md").read_text(encoding="utf-8")
    example = page.partition("```python\n")[2].partition("```")[0].replace("audio/mpeg", "audio/wav")
    (tmp_path / "song.mp3").write_bytes(SONG)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"URL": server.url, "KEY": server.key}
    exec(example, names)
    assert names["split"]["status"] == "queued"
    assert server.stored() == [f"splits/{names['split']['id']}/source.mp3"]


# Through the server


def test_file_is_proxied_to_the_storage(server: Any) -> None:
    for method in ("POST", "PUT"):
        upload = reserved(server)
        status, answer = server.send(upload, SONG, method, Content_Type="audio/wav")
        assert (status, answer["data"]["url"]) == (200, upload["uploadUrl"])
        assert create(server, upload, storageKey=answer["data"]["key"])[0] == 200
        assert server.row(upload).sha256 == hashlib.sha256(SONG).hexdigest()


def test_large_file_is_proxied_with_bounded_memory_and_disk(
    on_s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, proxy = on_s3
    use(proxy.server, monkeypatch)  # the proxy would take memory of this process, too
    storage = Storage(f"s3://{BUCKET}", b"k", server.url)
    monkeypatch.setattr(server.services.uploads, "_storage", storage)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    size, block = 64 << 20, b"fLaC".ljust(1 << 20, b"\0")
    upload = reserved(server, contentLength=size, contentType="audio/mpeg")
    on_disk: list[int] = []
    with server.open(upload, size) as connection, Watch() as memory:
        for _ in range(size >> 20):
            connection.sendall(block)
            on_disk.append(sum(path.stat().st_size for path in tmp_path.rglob("*")))
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
    assert server.services.storage.size(server.stored()[0]) == size
    assert max(on_disk) == 0
    assert memory.grown < 5 * PART_BYTES  # three parts, and what the connections hold


class Watch:
    """Measures the maximum growth of this process's memory, in bytes."""

    def __enter__(self) -> "Watch":
        self.grown, self._end, self._start = 0, threading.Event(), _resident()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def _look(self) -> None:
        while not self._end.wait(0.01):
            self.grown = max(self.grown, _resident() - self._start)

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(timeout=20)


def _resident() -> int:
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * 4096


# The store fails


def test_transient_storage_errors_lose_no_upload(on_s3: Any) -> None:
    server, proxy = on_s3
    proxy.fail_sometimes(0.05)
    for number in range(12):
        upload = reserved(server)
        if number % 2:
            status, sent = server.send(upload, SONG, Content_Type="audio/wav")
            assert status == 200
            assert create(server, upload, storageKey=sent["data"]["key"])[0] == 200
        else:
            assert 200 in (put(upload) for _ in range(5))
            assert create(server, upload)[0] == 200
    assert proxy.failed > 0


def test_storage_outage_is_reported(on_s3: Any) -> None:
    server, proxy = on_s3
    upload, direct = reserved(server), reserved(server)
    assert put(direct) == 200
    proxy.fault = lambda method, path: "busy"
    started = time.monotonic()
    status, answer = server.send(upload, SONG, Content_Type="audio/wav")
    assert (status, answer["error"]) == (503, "UNAVAILABLE")
    assert answer["message"].endswith(" later.")
    status, answer = create(server, direct)
    assert (status, answer["error"]["code"]) == (503, "UNAVAILABLE")
    assert time.monotonic() - started < 60
    proxy.fault = lambda method, path: None
    status, sent = server.send(upload, SONG, Content_Type="audio/wav")
    assert status == 200
    assert create(server, upload, storageKey=sent["data"]["key"])[0] == 200
    assert create(server, direct)[0] == 200


@pytest.fixture(autouse=True)
def _enough_credits(server: Any) -> Iterator[None]:
    with server.services.database.write() as session:
        server.services.credits.grant(session, server.account_id, 1000, "for a test")
    yield
