import hashlib
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import pytest

from stemsplitter.catalogue import http as module
from stemsplitter.catalogue.http import TRIES, download
from stemsplitter.errors import ModelError
from stemsplitter.files.verified import PartFile

DATA = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(DATA).hexdigest()

Handler = BaseHTTPRequestHandler


def serve(
    data: bytes = DATA, cut: int | None = None, ranges: bool = True, tag: str = '"one"', shift: int = 0
) -> Callable[[Handler], None]:
    """A response with the file or the requested range; ``cut`` is the number of bytes after which it ends."""

    def answer(handler: Handler) -> None:
        begin = 0
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        if asked and ranges and handler.headers.get("If-Range", tag) == tag:
            begin = int(asked[1])
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {begin + shift}-{len(data) - 1}/{len(data)}")
        else:
            handler.send_response(200)
        handler.send_header("Content-Length", str(len(data) - begin))
        handler.send_header("ETag", tag)
        handler.end_headers()
        handler.wfile.write(data[begin:] if cut is None else data[begin : begin + cut])

    return answer


def refuse(status: int, **headers: str) -> Callable[[Handler], None]:
    def answer(handler: Handler) -> None:
        handler.send_response(status)
        for key, value in headers.items():
            handler.send_header(key, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BACKOFF_S", 0.01)
    monkeypatch.setattr(module, "TIMEOUT", httpx.Timeout(60.0))


def fetch(url: str, folder: Path, progress: Callable[[int, int | None], None] | None = None) -> bytes:
    with PartFile(folder / "file", len(DATA), SHA256, resume=True) as part:
        download(f"{url}/file", part, progress)
    assert not (folder / "file.part").exists()
    return (folder / "file").read_bytes()


def failure(url: str, folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        fetch(url, folder)
    assert not (folder / "file").exists()
    return str(caught.value)


def test_a_download_reports_progress(server, tmp_path: Path) -> None:
    server.answers = [serve()]
    seen: list[tuple[int, int | None]] = []
    assert fetch(server.url, tmp_path, lambda *step: seen.append(step)) == DATA
    assert seen[-1] == (len(DATA), len(DATA))
    assert seen == sorted(seen)
    assert (
        "Range" not in server.requests[0].headers
        and server.requests[0].headers["Accept-Encoding"] == "identity"
    )


def test_an_interrupted_download_is_resumed(server, tmp_path: Path) -> None:
    server.answers = [serve(cut=300_000), serve(cut=300_000), serve()]
    assert fetch(server.url, tmp_path) == DATA
    assert [request.headers.get("Range") for request in server.requests] == [
        None,
        "bytes=300000-",
        "bytes=600000-",
    ]
    assert [request.headers.get("If-Range") for request in server.requests] == [None, '"one"', '"one"']


def test_a_file_that_changed_is_downloaded_again(server, tmp_path: Path) -> None:
    server.answers = [serve(b"z" * len(DATA), cut=1000, tag='"old"'), serve(tag='"new"')]
    assert fetch(server.url, tmp_path) == DATA


def test_a_server_without_ranges_sends_the_whole_file(server, tmp_path: Path) -> None:
    server.answers = [serve(cut=300_000), serve(ranges=False)]
    assert fetch(server.url, tmp_path) == DATA


def test_another_range_restarts_the_download(server, tmp_path: Path) -> None:
    server.answers = [serve(cut=300_000), serve(shift=5), serve()]
    assert fetch(server.url, tmp_path) == DATA


def test_a_part_of_an_earlier_pull_is_resumed(server, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(DATA[:500_000])
    server.answers = [serve()]
    assert fetch(server.url, tmp_path) == DATA
    assert server.requests[0].headers["Range"] == "bytes=500000-"


def test_a_complete_part_needs_no_request(server, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(DATA)
    assert fetch(server.url, tmp_path) == DATA
    assert server.requests == []


@pytest.mark.parametrize("size", [500_000, len(DATA)])
def test_a_damaged_part_is_downloaded_again(server, tmp_path: Path, size: int) -> None:
    (tmp_path / "file.part").write_bytes(b"x" * size)
    server.answers = [serve()]
    assert fetch(server.url, tmp_path) == DATA


def test_a_wrong_file_is_deleted(server, tmp_path: Path) -> None:
    server.answers = [serve(DATA[:-1] + b"x")]
    assert "SHA-256 is wrong" in failure(server.url, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_too_long_is_not_stored(server, tmp_path: Path) -> None:
    server.answers = [serve(DATA + bytes(1 << 20))]
    assert "too large" in failure(server.url, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_connection_that_is_always_interrupted_fails(server, tmp_path: Path) -> None:
    server.answers = [serve(cut=1000)]
    assert failure(server.url, tmp_path) == (
        f"The download of file was interrupted {TRIES} times: try again to resume it."
    )
    assert len(server.requests) == TRIES
    assert (tmp_path / "file.part").stat().st_size == 1000 * TRIES


def test_a_server_error_is_retried(server, tmp_path: Path) -> None:
    server.answers = [refuse(500), refuse(503), refuse(429), serve()]
    assert fetch(server.url, tmp_path) == DATA


def test_a_permanent_server_error_fails(server, tmp_path: Path) -> None:
    server.answers = [refuse(503)]
    assert failure(server.url, tmp_path) == "127.0.0.1 answered with status 503 for file: try again later."
    assert len(server.requests) == TRIES
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_client_error_is_not_retried(server, tmp_path: Path, status: int) -> None:
    server.answers = [refuse(status)]
    assert f"answered with status {status} for file" in failure(server.url, tmp_path)
    assert len(server.requests) == 1


def test_redirects_are_followed_up_to_a_limit(server, tmp_path: Path) -> None:
    server.answers = [refuse(302, Location="/there"), serve()]
    assert fetch(server.url, tmp_path) == DATA
    (tmp_path / "file").unlink()
    server.answers = [refuse(302, Location="/there")]
    assert "cannot be downloaded" in failure(server.url, tmp_path)


def test_a_stalled_download_is_retried(server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT", httpx.Timeout(0.5))
    monkeypatch.setattr(module, "TRIES", 100)  # where this machine is what stalls
    monkeypatch.setattr(module, "BACKOFF_S", 0.0)
    over, waited_out = threading.Event(), threading.Event()

    def stall(handler: Handler) -> None:
        serve(cut=1000)(handler)
        handler.wfile.flush()
        if not over.wait(60):
            waited_out.set()

    server.answers = [stall, serve()]
    assert fetch(server.url, tmp_path) == DATA
    assert len(server.requests) >= 2 and not waited_out.is_set()
    over.set()


def test_an_unreachable_server_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    message = failure("http://127.0.0.1:9", tmp_path)
    assert message == "127.0.0.1 cannot be reached: check the network and try again."
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_keeps_the_part(server, tmp_path: Path) -> None:
    server.answers = [serve()]

    def stop(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(server.url, tmp_path, stop)
    assert 0 < (tmp_path / "file.part").stat().st_size < len(DATA)
    assert fetch(server.url, tmp_path) == DATA


def test_one_try_is_enough_where_the_file_is_optional(server, tmp_path: Path) -> None:
    server.answers = [503]
    with (
        pytest.raises(ModelError, match="status 503"),
        PartFile(tmp_path / "file", len(DATA), SHA256, resume=True) as part,
    ):
        download(server.url, part, once=True)
    assert len(server.requests) == 1
    assert module.ONCE_TIMEOUT.connect == 4
