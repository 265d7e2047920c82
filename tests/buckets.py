"""A local S3 server that verifies signatures, and a proxy that injects failures."""

import http.client
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

BUCKET = "stems"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "tester",
    "AWS_SECRET_ACCESS_KEY": "not-a-real-secret",
    "AWS_REGION": "us-east-1",
}
# credentials and endpoints that the machine may have configured
OTHERS = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION")


def environment(url: str) -> dict[str, str]:
    """Environment variables of a client of the server at ``url``."""
    return {**CREDENTIALS, "AWS_ENDPOINT_URL": url, "AWS_EC2_METADATA_DISABLED": "true"}


def use(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Configure this process to use the server at ``url`` and no other."""
    for name in OTHERS:
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    for name, value in environment(url).items():
        monkeypatch.setenv(name, value)


@contextmanager
def s3_server(folder: Path) -> Iterator[str]:
    """Run an S3 server with an empty bucket in ``folder``. Yields its URL."""
    (folder / BUCKET).mkdir(parents=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    variables = {
        "PATH": os.environ["PATH"],
        "NANIO_ACCESS_KEY": CREDENTIALS["AWS_ACCESS_KEY_ID"],
        "NANIO_SECRET_KEY": CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    }
    command = [sys.executable, "-m", "nanio", "serve", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--data-dir", str(folder), "--log-level", "warning", "--no-access-log"]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, env=variables, stderr=log) as server:
        try:
            _wait_for(port, server, folder / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def _wait_for(port: int, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    pytest.fail("The S3 server did not start.")


# "busy": refused with 503. "lost": processed, but the connection closes without a response. "cut": the response is
# truncated to half.
Fault = Callable[[str, str], str | None]


class Proxy:
    """HTTP proxy at :attr:`url` in front of the S3 server at :attr:`server`.

    ``fault(method, path)`` returns the failure to inject, or None. :attr:`answer`, if set, is a status and a body that
    every request gets instead. :attr:`failed` counts injected failures.
    """

    def __init__(self, server: str) -> None:
        self.fault: Fault = lambda method, path: None
        self.answer: tuple[int, bytes] | None = None
        self.failed = 0
        self.server = server
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def fail_sometimes(self, share: float, seed: int = 1) -> None:
        """Fail a random ``share`` of the requests from now on, with all kinds of failure."""
        chance = random.Random(seed)
        lock = threading.Lock()

        def fault(method: str, path: str) -> str | None:
            with lock:
                kind = chance.choice(("busy", "lost", "cut")) if chance.random() < share else None
            # completing a multipart upload is idempotent in a real store, but not in this server
            return "busy" if kind == "lost" and method == "POST" else kind

        self.fault = fault

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join(timeout=20)
        self._http.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle(self) -> None:
                try:
                    super().handle()
                except OSError:  # the client disconnected
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:
                pass

            def _pass(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                kind = proxy.fault(self.command, self.path)
                if proxy.answer is not None:
                    self._send(*proxy.answer)
                    return
                proxy.failed += kind is not None
                if kind == "busy":
                    self._send(503, b"<Error><Code>SlowDown</Code><Message>Slow down.</Message></Error>")
                    return
                server = http.client.HTTPConnection(proxy.server.removeprefix("http://"), timeout=60)
                try:
                    server.request(self.command, self.path, body, dict(self.headers.items()))
                    answer = server.getresponse()
                    data = answer.read()
                finally:
                    server.close()
                if kind == "lost":
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in (
                        "date",
                        "server",
                        "connection",
                        "transfer-encoding",
                        "content-length",
                    ):
                        self.send_header(name, value)
                length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(data))
                self.send_header("Content-Length", length or "0")
                self.end_headers()
                if kind == "cut":
                    data, self.close_connection = data[: len(data) // 2], True
                self.wfile.write(data)

            def _send(self, status: int, data: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/xml")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass

        return Handler
