"""Limits of connections (fault H5): slow clients are disconnected, and idle connections are closed for new ones."""

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import uvicorn

from stemsplitter.processes import connections
from stemsplitter.processes.connections import ConnectionLimits
from stemsplitter.rate_limits.service import network

Connect = Callable[..., socket.socket]


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer with the number of bytes of the body."""
    assert scope["type"] == "http"
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message["body"])
        more = message["more_body"]
    body = str(size).encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]}
    )
    await send({"type": "http.response.body", "body": body})


@contextmanager
def served(limits: ConnectionLimits) -> Iterator[Connect]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=limits.protocol, log_config=None, lifespan="off")  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    with ExitStack() as stack:

        def connect(source: str = "") -> socket.socket:
            address = (source, 0) if source else None
            connection = socket.create_connection(listener.getsockname(), 60, address)
            return stack.enter_context(connection)

        try:
            yield connect
        finally:
            server.should_exit = server.force_exit = True
            thread.join(60)
            listener.close()


def received(connection: socket.socket) -> bytes:
    """Return all bytes until the server closes the connection."""
    parts = []
    try:
        while part := connection.recv(4096):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def exchange(connection: socket.socket, request: bytes) -> bytes:
    connection.sendall(request)
    return connection.recv(4096)


GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nhost: x\r\n"])
def test_h5_half_sent_headers_end_with_408(sent: bytes) -> None:
    with served(ConnectionLimits(100, header_seconds=0.3, body_seconds=60)) as connect:
        connection = connect()
        connection.sendall(sent)
        assert received(connection).startswith(b"HTTP/1.1 408 Request Timeout\r\n")


def test_h5_headers_of_a_second_request_have_the_same_deadline() -> None:
    with served(ConnectionLimits(100, header_seconds=0.5, body_seconds=60)) as connect:
        connection = connect()
        assert exchange(connection, GET).startswith(b"HTTP/1.1 200")
        connection.sendall(b"GET / HT")
        assert b"408 Request Timeout" in received(connection)


def test_h5_a_trickling_body_ends_with_408() -> None:
    with served(ConnectionLimits(100, header_seconds=60, body_seconds=0.3)) as connect:
        connection = connect()
        connection.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\nabc")
        assert received(connection).startswith(b"HTTP/1.1 408 Request Timeout\r\n")


def test_steady_body_may_exceed_one_period() -> None:
    with served(ConnectionLimits(100, header_seconds=60, body_seconds=0.2)) as connect:
        connection = connect()
        connection.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 600000\r\n\r\n")
        pause = threading.Event()
        for _ in range(6):
            pause.wait(0.1)
            connection.sendall(bytes(100_000))
        assert connection.recv(4096).endswith(b"600000")


def test_large_headers_end_with_431() -> None:
    with served(ConnectionLimits(100, header_seconds=60, body_seconds=60)) as connect:
        connection = connect()
        connection.sendall(b"GET / HTTP/1.1\r\nx: " + bytes(b"a" * (connections.MAX_HEADER_BYTES + 5000)))
        assert received(connection).startswith(b"HTTP/1.1 431 ")


def test_h5_longest_idle_connection_is_closed_for_a_new_one() -> None:
    limits = ConnectionLimits(3, header_seconds=60, body_seconds=60)
    with served(limits) as connect:
        idle = [connect() for _ in range(3)]
        answers = [exchange(connect(), GET) for _ in range(3)]
        assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)
        assert [received(each) for each in idle] == [b""] * 3


def test_connection_is_refused_while_all_others_have_a_request_in_progress() -> None:
    limits = ConnectionLimits(2, header_seconds=60, body_seconds=60)
    with served(limits) as connect:
        busy = [connect() for _ in range(2)]
        for connection in busy:
            head = b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n"
            assert exchange(connection, head).startswith(b"HTTP/1.1 100")
        assert received(connect()).startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert exchange(busy[0], b"abc").endswith(b"3")


HALF = b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have one loopback address")
def test_h5_requests_in_progress_of_one_network_do_not_lock_out_others() -> None:
    limits = ConnectionLimits(4, header_seconds=60, body_seconds=60, proxies=frozenset(["127.0.0.1"]))
    with served(limits) as connect:
        honest = connect("127.0.0.3")
        assert exchange(honest, HALF).startswith(b"HTTP/1.1 100")
        guest = [connect("127.0.0.2") for _ in range(3)]
        for connection in guest:
            assert exchange(connection, HALF).startswith(b"HTTP/1.1 100")
        assert exchange(connect("127.0.0.4"), GET).startswith(b"HTTP/1.1 200")
        assert received(guest[0]) == b""
        assert exchange(honest, b"abc").endswith(b"3")
        assert exchange(guest[1], b"abc").endswith(b"3")


class Connection:
    """A connection whose request is in progress."""

    is_open = True

    def drop(self) -> None:
        self.is_open = False


@pytest.mark.parametrize(
    ("proxies", "is_closed"),
    [("127.0.0.1", True), ("10.0.0.0/8", False), ("*", False), ("::1", True), ("10.1.2.3", False)],
)
def test_h5_connections_of_a_trusted_proxy_stay_open(proxies: str, is_closed: bool) -> None:
    limits = ConnectionLimits(4, header_seconds=60, body_seconds=60, proxies=frozenset([proxies]))
    oldest = Connection()
    limits.of_network["10.1.2.3"] = dict.fromkeys((oldest, Connection(), Connection()))
    assert limits.make_room(5) == is_closed
    assert oldest.is_open != is_closed


def test_h5_connections_of_a_trusted_proxy_on_ipv6_stay_open() -> None:
    limits = ConnectionLimits(4, header_seconds=60, body_seconds=60, proxies=frozenset(["::1"]))
    limits.of_network[network("::1")] = dict.fromkeys((Connection(), Connection(), Connection()))
    assert not limits.make_room(5)


def test_connection_limit_reserves_file_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"now": (1024, 4096)}
    monkeypatch.setattr(connections.resource, "getrlimit", lambda _: limits["now"])
    monkeypatch.setattr(connections.resource, "setrlimit", lambda _, new: limits.update(now=new))
    assert connections.raise_file_limit() == 4096 - connections.RESERVED_DESCRIPTORS
    assert limits["now"] == (4096, 4096)
