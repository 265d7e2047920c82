"""A stopping server finishes the requests in progress."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from stemsplitter.cli.main import EXIT_STOPPED

from ..loopback import Handler, listening
from ..waiting import wait_until
from .server import Server


def test_stopping_server_answers_create_request(make_server: Callable[..., Server], song: Path) -> None:
    requested = threading.Event()

    def accepts_no_connection() -> bool:
        try:
            httpx2.get(f"{server.url}/healthz", timeout=60)
        except httpx2.TransportError:
            return True
        return False

    class Slow(Handler):
        def do_GET(self) -> None:
            requested.set()
            wait_until(accepts_no_connection, "the server still accepts connections")
            self.reply(body=song.read_bytes())

    server = make_server()
    server.start()
    headers = {"Authorization": f"Bearer {server.new_key('a@example.org')}"}
    with listening(Slow) as site, ThreadPoolExecutor(1) as pool, httpx2.Client(timeout=60) as client:
        body = {"input": {"type": "direct_url", "url": f"{site}/song.flac"}}
        answer = pool.submit(client.post, f"{server.url}/v1/audio/splits", json=body, headers=headers)
        try:
            assert requested.wait(60)
        finally:
            code = server.stop()
        assert answer.result(60).status_code == 200
    assert code in (0, EXIT_STOPPED), server.log.read_text()
    with pytest.raises(httpx2.TransportError):
        httpx2.get(f"{server.url}/healthz")
