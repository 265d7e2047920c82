"""Uploads in chunks over real connections, with files in a folder and in S3."""

import hashlib
import json
import random
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stemsplitter.accounts.models import Account
from stemsplitter.api import upload_body
from stemsplitter.clock import now
from stemsplitter.database import Database
from stemsplitter.settings import Settings
from stemsplitter.storage import Storage
from stemsplitter.uploads import chunks, receiving
from stemsplitter.uploads.errors import InProgress, OffsetMismatch
from stemsplitter.uploads.models import Upload
from stemsplitter.uploads.receiving import Incoming
from stemsplitter.uploads.service import UploadService
from tests.services import quotas

SONG = b"ID3\x04\0\0\0\0\0\0" + random.Random(1).randbytes(399_990)
PART = 100_000
PATIENCE_S = 60.0

Answer = tuple[int, dict[str, str], dict[str, Any]]


def lowered(answer: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.headers.items()}


def ask(method: str, upload: dict[str, Any], data: bytes | None = None, **headers: str) -> Answer:
    """Return status, headers and JSON of the response."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(
        upload["uploadUrl"], data, upload["uploadHeaders"] | named, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            body = answer.read()
            return answer.status, lowered(answer), json.loads(body) if body else {}
    except urllib.error.HTTPError as error:
        with error:
            body = error.read()
            return error.code, lowered(error), json.loads(body) if body else {}


def patch(upload: dict[str, Any], offset: int, data: bytes, last: bool = False, **headers: str) -> Answer:
    named = {
        "Upload_Offset": str(offset),
        "Upload_Complete": f"?{int(last)}",
        "Content_Type": "application/partial-upload",
    }
    return ask("PATCH", upload, data, **(named | headers))


def head(upload: dict[str, Any]) -> tuple[int, int, str]:
    """Return offset, length and completeness of the upload."""
    status, headers, _ = ask("HEAD", upload)
    assert status == 200 and headers["cache-control"] == "no-store"
    return int(headers["upload-offset"]), int(headers["upload-length"]), headers["upload-complete"]


def fails(answer: Answer, status: int, code: str) -> None:
    assert (answer[0], answer[2]["success"], answer[2]["error"]) == (status, False, code), answer
    assert list(answer[2]) == ["success", "error", "message"] and answer[2]["message"].endswith(".")


def wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline, "what the test waits for does not happen"
        time.sleep(0.02)


@pytest.fixture(params=["folder", "s3"])
def server(request: pytest.FixtureRequest, server: Any, on_s3: Any) -> Any:
    return server if request.param == "folder" else on_s3[0]


@pytest.fixture
def upload(server: Any) -> dict[str, Any]:
    reserved = server.reserved(contentLength=len(SONG))
    assert isinstance(reserved, dict)
    return reserved


def is_whole(server: Any, upload: dict[str, Any], answer: Answer, content: bytes = SONG) -> None:
    """Check that the response is that of a POST, and that the song is the only stored file."""
    key = server.row(upload).storage_key
    assert answer[0] == 200 and answer[2] == {
        "success": True,
        "data": {"url": upload["uploadUrl"], "key": key},
    }
    assert server.stored() == [key]
    assert b"".join(server.services.storage.read(key)) == content
    row = server.row(upload)
    assert (row.status, row.sha256) == ("received", hashlib.sha256(content).hexdigest())
    assert head(upload) == (len(content), len(content), "?1")


def begin(
    server: Any,
    upload: dict[str, Any],
    offset: int,
    length: int | None,
    last: bool = False,
    is_waited_for: bool = True,
) -> socket.socket:
    """A connection on which a chunk has begun to come, as the server knows; without a body where there is no length."""
    address, path = upload["uploadUrl"].removeprefix("http://").split("/", 1)
    host, port = address.split(":")
    connection = socket.create_connection((host, int(port)), timeout=PATIENCE_S)
    sized = "" if length is None else f"Content-Length: {length}\r\n"
    connection.sendall(
        f"PATCH /{path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/partial-upload\r\n"
        f"X-Upload-Token: {upload['uploadHeaders']['X-Upload-Token']}\r\n{sized}"
        f"Upload-Offset: {offset}\r\nUpload-Complete: ?{int(last)}\r\n\r\n".encode()
    )
    if length:
        connection.sendall(SONG[offset : offset + 1000])
    if length and is_waited_for:
        wait(lambda: server.row(upload).status == "receiving")
    return connection


def test_chunks_are_joined(server: Any, upload: dict[str, Any]) -> None:
    assert head(upload) == (0, len(SONG), "?0")
    for start in range(0, 3 * PART, PART):
        status, headers, body = patch(upload, start, SONG[start : start + PART])
        assert (status, body) == (204, {})
        assert (headers["upload-offset"], headers["upload-complete"]) == (str(start + PART), "?0")
        assert head(upload) == (start + PART, len(SONG), "?0")
    answer = patch(upload, 3 * PART, SONG[3 * PART :], last=True)
    assert answer[1]["upload-complete"] == "?1"
    is_whole(server, upload, answer)


def test_single_chunk_is_accepted(server: Any, upload: dict[str, Any]) -> None:
    is_whole(server, upload, patch(upload, 0, SONG, last=True))


def test_completion_can_be_sent_after_the_last_bytes(server: Any, upload: dict[str, Any]) -> None:
    assert patch(upload, 0, SONG)[0] == 204
    assert head(upload) == (len(SONG), len(SONG), "?0")
    assert server.row(upload).status == "reserved"
    is_whole(server, upload, patch(upload, len(SONG), b"", last=True))


def test_final_response_is_repeated(server: Any, upload: dict[str, Any]) -> None:
    """A client that lost it would not know the file's key."""
    first = patch(upload, 0, SONG, last=True)
    again = patch(upload, len(SONG), b"", last=True)
    assert again[2] == first[2]
    is_whole(server, upload, again)
    with begin(server, upload, len(SONG), None, last=True) as connection:
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
    for other in (patch(upload, 0, SONG, last=True), patch(upload, 0, b"", last=True)):
        fails(other, 409, "UPLOAD_USED")
    server.change(upload, status="used")
    fails(patch(upload, len(SONG), b"", last=True), 409, "UPLOAD_USED")
    assert head(upload) == (len(SONG), len(SONG), "?1")


@pytest.mark.parametrize("offset", [0, 1, 2 * PART, len(SONG), 10**15 - 1])
def test_wrong_offset_returns_the_right_one(offset: int, server: Any, upload: dict[str, Any]) -> None:
    assert patch(upload, 0, SONG[:PART])[0] == 204
    answer = patch(upload, offset, SONG[:PART])
    fails(answer, 409, "UPLOAD_OFFSET_MISMATCH")
    assert answer[1]["upload-offset"] == str(PART)
    assert head(upload)[0] == PART
    is_whole(server, upload, patch(upload, PART, SONG[PART:], last=True))


def test_interrupted_chunk_keeps_previous_ones(server: Any, upload: dict[str, Any]) -> None:
    assert patch(upload, 0, SONG[:PART])[0] == 204
    for last in (False, True):
        size = len(SONG) - PART if last else PART
        begin(server, upload, PART, size, last).close()
        wait(lambda: server.row(upload).status == "reserved")
        assert head(upload) == (PART, len(SONG), "?0")
        assert len(server.stored()) == 1
    is_whole(server, upload, patch(upload, PART, SONG[PART:], last=True))


def test_stalled_chunk_can_be_continued(
    server: Any, upload: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_body, "IDLE_SECONDS", 0.2)
    with begin(server, upload, 0, PART, is_waited_for=False) as connection:
        answer = connection.recv(1 << 16)
    assert answer.startswith(b"HTTP/1.1 400") and b"UPLOAD_INCOMPLETE" in answer
    assert b"get the offset with HEAD" in answer
    assert head(upload)[0] == 0 and server.stored() == []


@pytest.mark.parametrize("offset", [0, PART])
def test_concurrent_chunks_are_refused(offset: int, server: Any, upload: dict[str, Any]) -> None:
    if offset:
        assert patch(upload, 0, SONG[:offset])[0] == 204
    with begin(server, upload, offset, PART) as connection:
        fails(patch(upload, offset, SONG[offset : offset + PART]), 409, "UPLOAD_IN_PROGRESS")
        fails(patch(upload, 0, SONG[:PART]), 409, "UPLOAD_IN_PROGRESS")
        fails(ask("POST", upload, SONG, Content_Type="audio/mpeg"), 409, "UPLOAD_IN_PROGRESS")
        assert head(upload)[0] == offset
        connection.sendall(SONG[offset + 1000 : offset + PART])
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 204")
    is_whole(server, upload, patch(upload, offset + PART, SONG[offset + PART :], last=True))


def test_replaced_chunk_keeps_nothing(
    server: Any, upload: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends later and has another size."""
    monkeypatch.setattr(receiving, "_RENEW_S", PATIENCE_S)
    with begin(server, upload, 0, 3 * PART) as connection:
        server.change(upload, receiving_until=now() - timedelta(seconds=1))
        assert patch(upload, 0, SONG[:PART])[0] == 204
        connection.sendall(SONG[1000 : 3 * PART])
        answer = connection.recv(1 << 16)
    assert answer.startswith(b"HTTP/1.1 409") and b"UPLOAD_IN_PROGRESS" in answer
    assert head(upload)[0] == PART
    is_whole(server, upload, patch(upload, PART, SONG[PART:], last=True))


def test_chunk_of_a_dead_request_does_not_count(server: Any, upload: dict[str, Any]) -> None:
    """It was killed after it wrote its chunk and before it committed."""
    storage, folder = server.services.storage, f"uploads/{upload['uploadId']}"
    assert patch(upload, 0, SONG[:PART])[0] == 204
    server.change(upload, attempt=9)
    for name in (f"chunk-{PART}-9", f"chunk-{2 * PART}-8", f"chunk-{PART + 5}-10"):
        storage.put_stream(f"{folder}/{name}", [b"rubbish" * 1000], "audio/mpeg")
    assert head(upload)[0] == PART
    assert patch(upload, PART, SONG[PART : 2 * PART])[0] == 204
    is_whole(server, upload, patch(upload, 2 * PART, SONG[2 * PART :], last=True))


@pytest.mark.parametrize("head_", [b"%PDF-1.7", b"<!doctype html>", b"PK\x03\x04"])
def test_other_media_are_refused_with_the_first_chunk(
    head_: bytes, server: Any, upload: dict[str, Any]
) -> None:
    fails(patch(upload, 0, head_.ljust(PART)), 415, "UPLOAD_TYPE_MISMATCH")
    assert server.stored() == [] and head(upload)[0] == 0
    is_whole(server, upload, patch(upload, 0, SONG, last=True))


@pytest.mark.parametrize(
    ("offset", "size", "last"),
    [
        (0, len(SONG) + 1, False),
        (0, len(SONG) + 1, True),
        (0, PART, True),  # there is more to come
        (PART, len(SONG) - PART - 1, True),
        (PART, len(SONG) - PART + 1, False),
        (0, 0, False),
        (PART, chunks.MIN_CHUNK_BYTES - 1, False),
    ],
)
@pytest.mark.parametrize("is_announced", [True, False])
def test_chunk_of_wrong_size_is_refused(
    offset: int, size: int, last: bool, is_announced: bool, server: Any, upload: dict[str, Any]
) -> None:
    if offset:
        assert patch(upload, 0, SONG[:offset])[0] == 204
    data = (SONG + b"!")[offset : offset + size]
    if is_announced:
        fails(patch(upload, offset, data, last), 422, "UPLOAD_LENGTH_MISMATCH")
    else:
        blocks = iter([data] if data else [])
        fails(patch(upload, offset, blocks, last), 422, "UPLOAD_LENGTH_MISMATCH")  # type: ignore[arg-type]
    assert head(upload)[0] == offset
    is_whole(server, upload, patch(upload, offset, SONG[offset:], last=True))


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Upload_Offset": ""}, 400, "UPLOAD_HEADERS_INVALID"),
        ({"Upload_Offset": "-1"}, 400, "UPLOAD_HEADERS_INVALID"),
        ({"Upload_Offset": "0.0"}, 400, "UPLOAD_HEADERS_INVALID"),
        ({"Upload_Offset": "1" * 16}, 400, "UPLOAD_HEADERS_INVALID"),
        ({"Upload_Complete": ""}, 400, "UPLOAD_HEADERS_INVALID"),
        ({"Upload_Complete": "true"}, 400, "UPLOAD_HEADERS_INVALID"),
        ({"Content_Type": "audio/mpeg"}, 415, "UPLOAD_TYPE_MISMATCH"),
        ({"Content_Type": ""}, 415, "UPLOAD_TYPE_MISMATCH"),
        ({"X_Upload_Token": "another"}, 401, "UPLOAD_TOKEN_INVALID"),
        ({"X_Upload_Token": "another", "Upload_Offset": "x"}, 401, "UPLOAD_TOKEN_INVALID"),
    ],
)
def test_wrong_headers_are_refused(
    headers: dict[str, str], status: int, code: str, server: Any, upload: dict[str, Any]
) -> None:
    fails(patch(upload, 0, SONG, last=True, **headers), status, code)
    assert server.stored() == [] and server.row(upload).attempt == 0


def test_parameter_of_the_media_type_is_ignored(server: Any, upload: dict[str, Any]) -> None:
    typed = "Application/Partial-Upload; a=b"
    is_whole(server, upload, patch(upload, 0, SONG, last=True, Content_Type=typed))


def test_progress_needs_the_token(server: Any, upload: dict[str, Any]) -> None:
    other = server.reserved()
    for wrong in (
        upload | {"uploadHeaders": other["uploadHeaders"]},
        upload | {"uploadHeaders": {}},
        upload | {"uploadUrl": upload["uploadUrl"] + "x"},
    ):
        assert ask("HEAD", wrong)[::2] == (401, {})
    limit = ask("HEAD", upload)[1]["upload-limit"]
    size, age = (int(part.partition("=")[2]) for part in limit.split(", "))
    assert size == chunks.MIN_CHUNK_BYTES and 0 < age <= 3600


def test_chunk_after_expiry_is_refused(server: Any, upload: dict[str, Any]) -> None:
    assert patch(upload, 0, SONG[:PART])[0] == 204
    server.change(upload, expires_at=now() - timedelta(seconds=1))
    fails(patch(upload, PART, SONG[PART:], last=True), 410, "UPLOAD_EXPIRED")
    assert ask("HEAD", upload)[0] == 410
    server.change(upload, expires_at=now() + timedelta(hours=1))
    assert patch(upload, 0, b"x" * PART)[1]["upload-offset"] == str(PART)
    is_whole(server, upload, patch(upload, PART, SONG[PART:], last=True))
    server.change(upload, expires_at=now() - timedelta(seconds=1))
    assert head(upload) == (len(SONG), len(SONG), "?1")


def test_whole_file_replaces_chunks(server: Any, upload: dict[str, Any]) -> None:
    assert patch(upload, 0, SONG[:PART])[0] == 204
    assert patch(upload, PART, SONG[PART : 2 * PART])[0] == 204
    fails(ask("POST", upload, SONG[:PART], Content_Type="audio/mpeg"), 422, "UPLOAD_LENGTH_MISMATCH")
    assert head(upload)[0] == 2 * PART
    is_whole(server, upload, ask("POST", upload, SONG, Content_Type="audio/mpeg"))
    fails(patch(upload, 2 * PART, SONG[2 * PART :], last=True), 409, "UPLOAD_USED")


def test_failed_join_is_repeated(
    server: Any, upload: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert patch(upload, 0, SONG[:PART])[0] == 204
    with monkeypatch.context() as patched:
        patched.setattr(Incoming, "finish", lambda _: 1 / 0)
        fails(patch(upload, PART, SONG[PART:], last=True), 500, "SERVER_ERROR")
    assert head(upload) == (len(SONG), len(SONG), "?0")
    assert len(server.stored()) == 2
    is_whole(server, upload, patch(upload, len(SONG), b"", last=True))


def test_join_is_repeated_after_a_crash(server: Any, upload: dict[str, Any]) -> None:
    assert patch(upload, 0, SONG)[0] == 204
    server.change(upload, status="receiving", attempt=2, receiving_until=now() + timedelta(hours=1))
    assert head(upload) == (len(SONG), len(SONG), "?0")
    fails(patch(upload, len(SONG), b"", last=True), 409, "UPLOAD_IN_PROGRESS")
    server.change(upload, receiving_until=now() - timedelta(seconds=1))
    is_whole(server, upload, patch(upload, len(SONG), b"", last=True))


def test_missing_chunks_must_be_sent_again(server: Any, upload: dict[str, Any]) -> None:
    assert patch(upload, 0, SONG[:PART])[0] == 204
    assert patch(upload, PART, SONG[PART:])[0] == 204
    server.services.storage.delete(sorted(server.stored())[0])
    answer = patch(upload, len(SONG), b"", last=True)
    fails(answer, 400, "UPLOAD_INCOMPLETE")
    assert "from the start" in answer[2]["message"]
    assert head(upload) == (0, len(SONG), "?0")
    is_whole(server, upload, patch(upload, 0, SONG, last=True))


def test_chunks_of_an_expired_upload_are_deleted(server: Any, upload: dict[str, Any]) -> None:
    assert patch(upload, 0, SONG[:PART])[0] == 204
    assert patch(upload, PART, SONG[PART : 2 * PART])[0] == 204
    assert len(server.stored()) == 2
    server.change(upload, expires_at=now() - timedelta(days=2))
    assert server.services.uploads.delete_expired() == 1
    assert server.stored() == []


def test_storage_failure_keeps_received_chunks(on_s3: Any) -> None:
    server, proxy = on_s3
    upload = server.reserved(contentLength=len(SONG))
    assert patch(upload, 0, SONG[:PART])[0] == 204
    proxy.answer = 403, b"<Error><Code>AccessDenied</Code></Error>"
    try:
        answer = patch(upload, PART, SONG[PART:], last=True)
    finally:
        proxy.answer = None
    fails(answer, 503, "UNAVAILABLE")
    assert "get the offset with HEAD" in answer[2]["message"]
    assert head(upload)[0] == PART
    is_whole(server, upload, patch(upload, PART, SONG[PART:], last=True))


# Any way of cutting

_KINDS = ("kept", "repeated", "broken", "killed", "overtaken")
_STEPS = st.lists(
    st.tuples(st.sampled_from(_KINDS), st.integers(chunks.MIN_CHUNK_BYTES, 2 * chunks.MIN_CHUNK_BYTES)),
    max_size=8,
)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_STEPS, joined=st.sampled_from(["at once", "later", "second time"]))
def test_any_chunking_yields_the_same_file(
    steps: list[tuple[str, int]], joined: str, database: Database, tmp_path_factory: pytest.TempPathFactory
) -> None:
    storage = Storage(tmp_path_factory.mktemp("files").as_uri(), b"k" * 32, "http://localhost")
    own = Settings(public_url="http://localhost", quota_bytes=10**12)
    service = UploadService(database, storage, own, quotas(own))
    with database.write() as session:
        session.merge(Account(id="acc_1", email="someone@example.org"))
        upload, token = service.reserve(session, "acc_1", "song.mp3", "audio/mpeg", len(SONG))

    def take(at: int, data: bytes, last: bool = False) -> Any:
        chunk = service.begin_chunk(upload.id, token, at, last, None)
        for start in range(0, len(data), 50_000):
            chunk.write(data[start : start + 50_000])
        return chunk

    def free() -> None:
        """As after the lease of the request expired."""
        with database.write() as session:
            session.get_one(Upload, upload.id).receiving_until = now() - timedelta(seconds=1)

    at = 0
    for kind, size in steps:
        if at + size > len(SONG):
            break
        data = SONG[at : at + size]
        if kind == "broken":
            take(at, data[: size // 2]).abandon()
        elif kind == "killed":
            take(at, data[::-1] if at else data)._file.commit()
            free()
        elif kind == "overtaken":
            slow = take(at, data)
            free()
            take(at, data[: chunks.MIN_CHUNK_BYTES]).finish()
            at += chunks.MIN_CHUNK_BYTES
            with pytest.raises(InProgress):
                slow.finish()
            slow.abandon()
        else:
            take(at, data).finish()
            if kind == "repeated":
                with pytest.raises(OffsetMismatch) as caught:
                    take(at, data)
                assert caught.value.offset == at + size
            at += size
        assert service.progress(upload.id, token).kept == at
    take(at, SONG[at:], last=joined == "at once").finish()
    if joined == "second time":
        incoming, blocks = service.begin_joining(upload.id, token)
        incoming.write(next(blocks))
        incoming.abandon()
    incoming, blocks = service.begin_joining(upload.id, token)
    for block in blocks:
        incoming.write(block)
    incoming.finish()
    progress = service.progress(upload.id, token)
    assert (progress.kept, progress.is_complete, progress.key) == (len(SONG), True, incoming.key)
    assert b"".join(storage.read(incoming.key)) == SONG
    assert [stored.key for stored in storage.list_prefix()] == [incoming.key]
    with database.read() as session:
        assert session.get_one(Upload, upload.id).sha256 == hashlib.sha256(SONG).hexdigest()
