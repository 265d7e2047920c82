"""A proxy in front of an S3 server that injects failures."""

import http.client
import http.server
import random
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

UNAVAILABLE = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>ServiceUnavailable</Code>'
    b"<Message>Try again.</Message></Error>"
)
_HOP = {
    "connection",
    "keep-alive",
    "transfer-encoding",
    "content-length",
}  # headers of a single connection


class FaultyStore:
    """Forwards calls to the S3 server at ``port`` of loopback, unmodified, so that their signatures stay valid.

    Attributes:
        share: share of the calls that fail: with a 503 response, a connection that closes before the call reaches the
            server, or one that closes after it, so that the response is lost.
        failed: number of failures by kind.
        before: called with the method and path of each call before it is forwarded.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self.url = ""
        self.share = 0.0
        self.failed = Counter[str]()
        self.before: Callable[[str, str], object] = lambda method, path: None

    @contextmanager
    def listening(self) -> Iterator["FaultyStore"]:
        """Run the proxy at ``url`` until the block ends."""
        with _Server(("127.0.0.1", 0), _handler(self, self._port)) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.url = f"http://127.0.0.1:{server.server_address[1]}"
            try:
                yield self
            finally:
                server.shutdown()


class _Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnect."""


def _handler(store: FaultyStore, port: int) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 120
        disable_nagle_algorithm = True

        def _forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            fault = random.choice(("503", "dropped", "answer lost")) if random.random() < store.share else ""
            if fault:
                store.failed[fault] += 1
            if fault == "503":
                self._answer(503, {"Content-Type": "application/xml"}, UNAVAILABLE)
                return
            if fault == "dropped":
                self._drop()
                return
            store.before(self.command, self.path)
            status, headers, answer = self._call_server(body)
            if fault == "answer lost":
                self._drop()
                return
            self._answer(status, headers, answer)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _forward

        def _call_server(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            try:
                connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    connection.putheader(name, value)
                connection.endheaders(body)
                answer = connection.getresponse()
                return answer.status, dict(answer.getheaders()), answer.read()
            finally:
                connection.close()

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response_only(status)
            length = headers.get("content-length") or headers.get("Content-Length")
            for name, value in headers.items():
                if name.lower() not in _HOP:
                    self.send_header(name, value)
            # the response to HEAD has the length of a body that is not sent
            self.send_header(
                "Content-Length", length if self.command == "HEAD" and length else str(len(body))
            )
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def _drop(self) -> None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
