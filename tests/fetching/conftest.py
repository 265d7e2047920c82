"""A web server on loopback with configurable responses, and a recorder of DNS lookups and connections."""

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import Any

import pytest

from tests import loopback

Answer = Callable[["Handler"], None]


class Handler(loopback.Handler):
    """Answers each path with the response set by the test."""

    server: "Server"
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        self.server.seen.append((self.command, self.path, dict(self.headers.items())))
        self.close_connection = True
        self.server.answers[self.path](self)

    do_GET = _answer
    do_POST = _answer

    def raw(self, data: bytes) -> None:
        """Send these bytes only."""
        self.wfile.write(data)
        self.wfile.flush()


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, Answer] = {}
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.stop = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """Ignore clients that disconnect, which many tests do."""


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.stop.set()
    running.shutdown()
    running.server_close()
    thread.join(timeout=10)


@dataclass
class Network:
    """Names of the fake DNS with their successive answers, and the recorded lookups and connections."""

    names: dict[str, list[list[str]]] = field(default_factory=dict)
    looked_up: list[str] = field(default_factory=list)  # in the thread for lookups
    asked: list[str] = field(default_factory=list)
    connected: list[Any] = field(default_factory=list)


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    """Record all lookups and connections of this process; answer lookups without the real DNS."""
    watched = Network()
    real_connect = socket.socket.connect
    real_getaddrinfo = socket.getaddrinfo

    def getaddrinfo(host: str, *args: Any, **kwargs: Any) -> list[Any]:
        if threading.current_thread().name == "look up a host":
            watched.looked_up.append(host)
        if host in watched.names:
            watched.asked.append(host)
            answers = watched.names[host]
            found = answers.pop(0) if len(answers) > 1 else answers[0]
            return [entry for address in found for entry in real_getaddrinfo(address, *args, **kwargs)]
        # numeric notations are resolved like inet_aton does; names are unknown
        kwargs["flags"] = kwargs.get("flags", 0) | socket.AI_NUMERICHOST
        return real_getaddrinfo(host, *args, **kwargs)

    def connect(self: socket.socket, address: Any) -> None:
        watched.connected.append(address)
        real_connect(self, address)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(socket.socket, "connect", connect)
    return watched
