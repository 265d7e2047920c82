"""The upload URL over real connections."""

import hashlib
import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from stemsplitter.api import upload_body
from stemsplitter.api.event_stream import OpenStreams
from stemsplitter.clock import now
from stemsplitter.uploads import receiving
from tests.uploads.conftest import patient, running_server, server

__all__ = ["patient", "running_server", "server"]


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_file_is_received(method: str, server: Any) -> None:
    upload = server.reserved()
    status, answer = server.send(upload, method=method)
    assert status == 200
    assert answer == {"success": True, "data": {"url": upload["uploadUrl"], "key": server.stored()[0]}}
    row = server.row(upload)
    assert (row.status, row.storage_key) == ("received", answer["data"]["key"])
    assert row.sha256 == hashlib.sha256(server.song).hexdigest()
    assert row.storage_key.endswith(".mp3")
    assert b"".join(server.services.storage.read(row.storage_key)) == server.song


def test_api_key_is_not_required_to_send(server: Any) -> None:
    assert server.send(server.reserved(), Authorization="Bearer nonsense")[0] == 200


def test_chunked_body_is_received(server: Any) -> None:
    with server.open(server.reserved(), None) as connection:
        for start in range(0, len(server.song), 10_000):
            part = server.song[start : start + 10_000]
            connection.sendall(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        connection.sendall(b"0\r\n\r\n")
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
    assert len(server.stored()) == 1


def expect(answer: tuple[int, dict[str, Any]], status: int, code: str) -> None:
    """Assert a flat error of the upload URL."""
    assert answer[0] == status
    assert list(answer[1]) == ["success", "error", "message"]
    assert (answer[1]["success"], answer[1]["error"]) == (False, code)
    assert re.fullmatch(r"[^\n]+\.", answer[1]["message"])


def test_file_is_received_once(server: Any) -> None:
    upload = server.reserved()
    assert server.send(upload)[0] == 200
    for data in (server.song, b"other", b""):
        expect(server.send(upload, data), 409, "UPLOAD_USED")
    assert b"".join(server.services.storage.read(server.stored()[0])) == server.song


@pytest.mark.parametrize("token", ["", "a", "ä", "a" * 43])
def test_token_of_another_upload_is_refused(token: str, server: Any) -> None:
    upload, other = server.reserved(), server.reserved()
    tokens = [token.encode().decode("latin-1"), other["uploadHeaders"]["X-Upload-Token"]]
    for wrong in tokens:
        expect(server.send(upload, X_Upload_Token=wrong), 401, "UPLOAD_TOKEN_INVALID")
    assert server.stored() == []
    assert server.send(upload)[0] == 200


@pytest.mark.parametrize("upload_id", ["upl_unknown", "a%00b", "upl_%C3%A4", "x" * 500])
def test_unknown_upload_and_wrong_token_give_the_same_error(upload_id: str, server: Any) -> None:
    upload = server.reserved() | {"uploadUrl": f"{server.url}/uploads/{upload_id}"}
    expect(server.send(upload), 401, "UPLOAD_TOKEN_INVALID")


def test_expired_reservation_is_refused(server: Any) -> None:
    upload = server.reserved()
    server.change(upload, expires_at=now() - timedelta(seconds=1))
    expect(server.send(upload), 410, "UPLOAD_EXPIRED")
    assert server.stored() == []


@pytest.mark.parametrize("change", [-1, 1, -102_000, 1_000_000])
def test_other_length_than_reserved_is_refused(change: int, server: Any) -> None:
    data = server.song[:change] if change < 0 else server.song + bytes(change)
    upload = server.reserved()
    expect(server.send(upload, data), 422, "UPLOAD_LENGTH_MISMATCH")
    with server.open(upload, None) as connection:  # without Content-Length
        connection.sendall(f"{len(data):x}\r\n".encode() + data + b"\r\n0\r\n\r\n")
        answer = connection.recv(1 << 16)
    assert answer.startswith(b"HTTP/1.1 422") and b"UPLOAD_LENGTH_MISMATCH" in answer
    assert server.stored() == [] and server.files() == []
    assert server.send(upload)[0] == 200


def test_empty_body_is_a_length_mismatch(server: Any) -> None:
    expect(server.send(server.reserved(), b""), 422, "UPLOAD_LENGTH_MISMATCH")


def test_other_type_than_reserved_is_refused(server: Any) -> None:
    upload = server.reserved()
    expect(server.send(upload, Content_Type="audio/wav"), 415, "UPLOAD_TYPE_MISMATCH")
    assert server.send(upload, Content_Type="AUDIO/MPEG; x=y")[0] == 200


@pytest.mark.parametrize(
    "head", [b"<!doctype html><script>", b"MZ\x90\0", b"\x7fELF", b"PK\x03\x04", b"%PDF-1.7", b"hello"]
)
@pytest.mark.parametrize("size", [2000, 50_000])
def test_file_that_is_not_audio_is_deleted(head: bytes, size: int, server: Any) -> None:
    upload = server.reserved(contentLength=size)
    expect(server.send(upload, head.ljust(size)), 415, "UPLOAD_TYPE_MISMATCH")
    assert server.stored() == [] and server.files() == []
    assert server.send(upload, server.song[:size])[0] == 200


def test_refused_large_file_gets_a_response(server: Any) -> None:
    """The client gets the response although the server refuses the file before it was sent."""
    upload = server.reserved(contentLength=20_000_000)
    expect(server.send(upload, b"MZ" + bytes(19_999_998)), 415, "UPLOAD_TYPE_MISMATCH")
    expect(server.send(upload, bytes(25_000_000)), 422, "UPLOAD_LENGTH_MISMATCH")


@pytest.mark.parametrize("chunked", [True, False])
def test_broken_connection_releases_the_upload(chunked: bool, server: Any) -> None:
    upload = server.reserved()
    for _ in range(2):
        with server.open(upload, None if chunked else len(server.song)) as connection:
            half = server.song[:50_000]
            connection.sendall(f"{len(half):x}\r\n".encode() + half if chunked else half)
            server.wait(lambda: server.row(upload).status == "receiving")
        server.wait(lambda: server.row(upload).status == "reserved")
        assert server.stored() == [] and server.files() == []
    assert server.send(upload)[0] == 200
    assert server.row(upload).attempt == 3


def test_idle_connection_releases_the_upload(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = server.reserved()
    with monkeypatch.context() as patched:
        patched.setattr(upload_body, "IDLE_SECONDS", 0.3)
        with server.open(upload, len(server.song), server.song[:1000]) as connection:
            answer = connection.recv(1 << 16)
    assert answer.startswith(b"HTTP/1.1 400")
    body = json.loads(answer.partition(b"\r\n\r\n")[2])
    expect((400, body), 400, "UPLOAD_INCOMPLETE")
    assert "1000 bytes" in body["message"]
    assert server.row(upload).status == "reserved"
    assert server.send(upload)[0] == 200


def test_one_of_several_concurrent_requests_succeeds(server: Any) -> None:
    upload = server.reserved()
    barrier = threading.Barrier(6)

    def send(_: int) -> tuple[int, dict[str, Any]]:
        barrier.wait(60)
        return server.send(upload)  # type: ignore[no-any-return]

    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(send, range(6)))
    assert sorted(status for status, _ in answers) == [200] + [409] * 5
    for answer in answers:
        if answer[0] == 409:
            expect(answer, 409, answer[1]["error"])
            assert answer[1]["error"] in ("UPLOAD_USED", "UPLOAD_IN_PROGRESS")
    assert server.stored() == [server.row(upload).storage_key]


def test_concurrent_request_is_in_progress_error(server: Any) -> None:
    upload = server.reserved()
    with server.open(upload, len(server.song)) as connection:
        connection.sendall(server.song[:5000])
        server.wait(lambda: server.row(upload).status == "receiving")
        expect(server.send(upload), 409, "UPLOAD_IN_PROGRESS")
        connection.sendall(server.song[5000:])
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")


def test_lease_of_a_dead_request_expires(server: Any) -> None:
    upload = server.reserved()
    server.change(upload, status="receiving", attempt=7, receiving_until=now() + timedelta(hours=1))
    expect(server.send(upload), 409, "UPLOAD_IN_PROGRESS")
    server.change(upload, receiving_until=now() - timedelta(seconds=1))
    assert server.send(upload)[0] == 200
    assert server.row(upload).attempt == 8


def test_low_upload_of_a_killed_process_is_free_again_within_15_seconds(server: Any) -> None:
    upload = server.reserved()
    with server.open(upload, len(server.song)) as connection:
        connection.sendall(server.song[:5000])
        server.wait(lambda: server.row(upload).status == "receiving")
        assert server.row(upload).receiving_until <= now() + timedelta(seconds=15)
        with server.open(upload, len(server.song)) as other:
            other.sendall(server.song)
            answer = other.recv(1 << 16)
    assert answer.startswith(b"HTTP/1.1 409") and b"retry-after: " in answer.lower()


def test_overtaken_request_stores_nothing(server: Any) -> None:
    upload = server.reserved()
    with server.open(upload, len(server.song)) as connection:
        connection.sendall(server.song[:5000])
        server.wait(lambda: server.row(upload).status == "receiving")
        server.change(upload, receiving_until=now() - timedelta(seconds=1))
        other = server.song[:-1] + b"!"
        assert server.send(upload, other)[0] == 200
        connection.sendall(server.song[5000:])
        answer = connection.recv(1 << 16)
    assert answer.startswith(b"HTTP/1.1 409") and b"UPLOAD_IN_PROGRESS" in answer
    assert re.search(rb"(?i)retry-after: [1-9]", answer)
    assert server.stored() == [server.row(upload).storage_key]
    assert server.row(upload).sha256 == hashlib.sha256(other).hexdigest()


def test_slow_request_keeps_its_lease(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Received data renews the lease; here every block does."""
    monkeypatch.setattr(receiving, "_RENEW_S", 0.0)
    upload = server.reserved()
    with server.open(upload, len(server.song)) as connection:
        server.wait(lambda: server.row(upload).status == "receiving")
        for start in range(0, 10_000, 1000):
            before = server.row(upload).receiving_until
            time.sleep(0.002)  # times are stored to the millisecond
            connection.sendall(server.song[start : start + 1000])
            server.wait(lambda before=before: server.row(upload).receiving_until > before)
        first = server.row(upload)
        assert (first.status, first.attempt) == ("receiving", 1)
        assert first.receiving_until > before > now()
        connection.sendall(server.song[10_000:])
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")


def test_server_error_is_flat_and_releases_the_upload(
    server: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    upload = server.reserved()
    folder = server.services.settings.data_dir / "files" / "uploads"
    folder.write_text("in the way")
    expect(server.send(upload), 503, "UNAVAILABLE")
    assert server.row(upload).status == "reserved"
    folder.unlink()
    with monkeypatch.context() as patched:
        patched.setattr(receiving, "not_media", lambda _: 1 / 0)
        expect(server.send(upload), 500, "SERVER_ERROR")
    assert server.row(upload).status == "reserved"
    assert server.send(upload)[0] == 200


def test_python_client_uploads(server: Any) -> None:
    from aistemsplitter import AIStemSplitter, AIStemSplitterError

    client = AIStemSplitter(server.key, base_url=f"{server.url}/v1")
    uploaded = client.upload_audio(server.song, filename="söng.mp3", content_type="audio/mpeg")
    assert uploaded["input"]["storageKey"] == server.stored()[0]
    with pytest.raises(AIStemSplitterError) as caught:
        client.upload_audio(b"<html>" + bytes(100), filename="song.mp3", content_type="audio/mpeg")
    assert (caught.value.status_code, caught.value.code) == (415, "UPLOAD_TYPE_MISMATCH")
    assert caught.value.message.startswith("This is a web page")


def test_h5_an_account_has_a_bounded_number_of_uploads_in_progress(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.app.state, "open_uploads", OpenStreams(1, "uploads"))
    slow, other = server.reserved(), server.reserved()
    with server.open(slow, len(server.song)) as connection:
        connection.sendall(server.song[:5000])
        server.wait(lambda: server.app.state.open_uploads.count() == 1)
        expect(server.send(other), 429, "RATE_LIMITED")
        assert server.row(other).status == "reserved"
        connection.sendall(server.song[5000:])
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
    assert server.send(other)[0] == 200
