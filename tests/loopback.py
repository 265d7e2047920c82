"""Web servers on loopback that run for the duration of a ``with`` block."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple, Self


class Handler(BaseHTTPRequestHandler):
    """Request handler without a log."""

    def reply(self, status: int = 200, body: bytes = b"", **headers: str) -> None:
        """Send a response; keyword arguments such as ``Content_Length`` set headers."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **named}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def body(self) -> bytes:
        """Read the request body."""
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve ``handler`` until the block ends. Yields the URL, without a path."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


Answer = int | Callable[[Handler], None]


class Request(NamedTuple):
    """A request that a :class:`Site` received."""

    headers: dict[str, str]
    body: bytes


class Site:
    """Web server that sends :attr:`answers` in order and then repeats the last; runs in a ``with`` block."""

    def __init__(self, path: str = "") -> None:
        self.answers: list[Answer] = [200]
        self.requests: list[Request] = []
        self.url = path  # inside the block, with the server's origin in front
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        site = self

        class Next(Handler):
            def do_GET(self) -> None:
                site.requests.append(Request(dict(self.headers.items()), self.body()))
                answer = site.answers[0] if len(site.answers) == 1 else site.answers.pop(0)
                if isinstance(answer, int):
                    self.reply(answer)
                else:
                    answer(self)

            do_POST = do_GET

        self.url = self._stack.enter_context(listening(Next)) + self.url
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
