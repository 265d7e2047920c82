"""A server that is told to stop finishes the requests it has."""

import http.server
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from stemsplitter.cli.main import EXIT_STOPPED

from .server import Server


def test_a_create_under_way_is_answered(make_server: Callable[..., Server], song: Path) -> None:
    asked = threading.Event()

    class Slow(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.set()
            time.sleep(3)
            content = song.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = make_server()
    server.start()
    headers = {"Authorization": f"Bearer {server.new_key('a@example.org')}"}
    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow) as site,
        ThreadPoolExecutor(1) as pool,
        httpx2.Client(timeout=60) as client,
    ):
        threading.Thread(target=site.serve_forever, daemon=True).start()
        body = {"input": {"type": "direct_url", "url": f"http://127.0.0.1:{site.server_port}/song.flac"}}
        answer = pool.submit(client.post, f"{server.url}/v1/audio/splits", json=body, headers=headers)
        try:
            assert asked.wait(30)
        finally:
            code = server.stop()
            site.shutdown()
        assert answer.result(10).status_code == 200
    assert code in (0, EXIT_STOPPED), server.log.read_text()
    with pytest.raises(httpx2.TransportError):
        httpx2.get(f"{server.url}/healthz")
