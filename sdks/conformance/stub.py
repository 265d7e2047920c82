"""Server that plays a script of exchanges, one connection per request."""

import json
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TIMEOUT_S = 30
CUT_S = 0.1


class Stub:
    """Plays the exchanges of a vector in order, and records differences between requests and script.

    An exchange has ``expect`` (method, path, headers, json, bodyLength; a header ``<name>`` must have one value
    throughout, ``*`` any) and ``respond`` (status, headers, json or text; ``cut`` closes the connection after so many
    bytes of the body, or before the response where it is negative; ``isOpen`` leaves it open after the body).
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.play([])
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = TIMEOUT_S

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65537)
                if self.raw_requestline and self.parse_request():
                    stub._exchange(self)
                self.close_connection = True

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                pass  # clients close connections too

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def play(self, exchanges: list[dict[str, Any]]) -> None:
        """Start a script."""
        self.exchanges, self.problems = list(exchanges), list[str]()
        self._next, self._captured = 0, dict[str, str]()

    def differences(self) -> list[str]:
        """Return the differences, among them the exchanges that did not happen."""
        missing = self.exchanges[self._next :]
        return self.problems + [f"no {each['expect']['method']} {each['expect']['path']}" for each in missing]

    def _exchange(self, handler: BaseHTTPRequestHandler) -> None:
        body = _read_body(handler)
        request = f"{handler.command} {handler.path}"
        with self._lock:
            if self._next >= len(self.exchanges):
                self.problems.append(f"unexpected {request}")
                respond: Mapping[str, Any] = {"status": 418, "text": "unexpected"}
            else:
                exchange = self.exchanges[self._next]
                self._next += 1
                respond = exchange["respond"]
                self._compare(exchange["expect"], handler, body)
        _respond(handler, respond)

    def _compare(self, expect: Mapping[str, Any], handler: BaseHTTPRequestHandler, body: bytes) -> None:
        request = f"{handler.command} {handler.path}"
        if request != f"{expect['method']} {expect['path']}":
            self.problems.append(f"{request} instead of {expect['method']} {expect['path']}")
        for name, value in expect.get("headers", {}).items():
            given = handler.headers.get(name)
            if value is not None and value.startswith("<"):
                value = self._captured.setdefault(value, given or "")
            if given != value and not (value == "*" and given):
                self.problems.append(f"{request}: {name}: {given!r} instead of {value!r}")
        if "json" in expect and json.loads(body or b"null") != expect["json"]:
            self.problems.append(f"{request}: body {body[:500]!r}")
        if "bodyLength" in expect and len(body) != expect["bodyLength"]:
            self.problems.append(f"{request}: {len(body)} bytes")


def _read_body(handler: BaseHTTPRequestHandler) -> bytes:
    if handler.headers.get("Expect") == "100-continue":
        handler.send_response_only(100)
        handler.end_headers()
    if handler.headers.get("Transfer-Encoding") == "chunked":
        parts = []
        while size := int(handler.rfile.readline(), 16):
            parts.append(handler.rfile.read(size))
            handler.rfile.readline()
        handler.rfile.readline()
        return b"".join(parts)
    return handler.rfile.read(int(handler.headers.get("Content-Length") or 0))


def _respond(handler: BaseHTTPRequestHandler, respond: Mapping[str, Any]) -> None:
    cut = respond.get("cut")
    if cut is not None and cut < 0:
        return
    body, kind = respond.get("text", "").encode(), "text/html"
    if "json" in respond:
        body, kind = json.dumps(respond["json"], ensure_ascii=False).encode(), "application/json"
    headers = {"Content-Type": kind, "Connection": "close", **respond.get("headers", {})}
    if respond["status"] != 204 and not respond.get("isOpen"):
        headers.setdefault("Content-Length", str(len(body)))
    handler.send_response_only(respond["status"])
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body if cut is None else body[:cut])
        if cut:
            time.sleep(CUT_S)  # some clients drop what they received just before the connection ended


SIZE = 400_000_000  # of the file that a sink receives
DOWNLOAD_SIZE = 200_000_000  # of the file that it sends


class Sink:
    """Server that receives one upload of any size, and keeps nothing of it. It has a split with one large stem."""

    def __init__(self) -> None:
        self.received = 0
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = TIMEOUT_S

            def do_GET(self) -> None:
                stem = {"vocals": f"{sink.url}/vocals.wav"}
                if self.path == "/vocals.wav":
                    self._send_file()
                elif self.path == "/v1/credits":
                    self._answer({"balance": 1, "unit": "seconds"})
                else:
                    self._answer({"id": "s", "status": "succeeded", "progress": 100, "stems": stem})

            def do_POST(self) -> None:
                _read_body(self)
                headers = {"X-Upload-Token": "t"}
                upload = {
                    "uploadId": "u",
                    "uploadUrl": f"{sink.url}/u",
                    "uploadHeaders": headers,
                    "expiresAt": "",
                }
                self._answer(upload)

            def do_PATCH(self) -> None:
                sink.received += len(_read_body(self))
                self._answer({"url": f"{sink.url}/u", "key": "k"} if sink.received >= SIZE else None)

            def _send_file(self) -> None:
                block = bytes(1_000_000)
                self.send_response_only(200)
                self.send_header("Content-Length", str(DOWNLOAD_SIZE))
                self.end_headers()
                for _ in range(DOWNLOAD_SIZE // len(block)):
                    self.wfile.write(block)

            def _answer(self, data: Any) -> None:
                answer = {"success": True, "data": data}
                _respond(self, {"status": 204} if data is None else {"status": 200, "json": answer})

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
