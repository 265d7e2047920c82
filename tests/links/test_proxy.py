import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stemsplitter.fetching import FetchRefused
from stemsplitter.fetching.connections import Deadline
from stemsplitter.links.proxy import Proxy, connect_publicly

LIMIT = 1000


@pytest.fixture
def asked() -> list[str]:
    """Hosts that the proxy connected to."""
    return []


@pytest.fixture
def proxy(tmp_path: Path, asked: list[str]) -> Iterator[Proxy]:
    """A proxy to a server that sends back twice what it receives."""
    servers: list[threading.Thread] = []

    def connect(host: str, _: Deadline) -> socket.socket:
        asked.append(host)
        ours, other = socket.socketpair()
        servers.append(threading.Thread(target=double, args=(other,), daemon=True))
        servers[-1].start()
        return ours

    def double(end: socket.socket) -> None:
        with end:
            try:
                while part := end.recv(4096):
                    end.sendall(2 * part)
            except OSError:
                pass

    with Proxy(tmp_path / "proxy", lambda host: host == "site.test", LIMIT, Deadline(60), connect) as proxy:
        yield proxy
    for server in servers:
        server.join(10)


@pytest.fixture
def client(proxy: Proxy, tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(tmp_path / "proxy"))
        yield client


def read(client: socket.socket) -> bytes:
    """Read to the end of the connection."""
    found = b""
    try:
        while part := client.recv(4096):
            found += part
    except ConnectionError:
        pass
    return found


def test_bytes_are_relayed_in_both_directions(client: socket.socket, asked: list[str]) -> None:
    client.sendall(b"CONNECT Site.Test:443 HTTP/1.1\r\nHost: site.test:443\r\n\r\n")
    assert client.recv(100).startswith(b"HTTP/1.1 200 ")
    client.sendall(b"abc")
    assert client.recv(100) == b"abcabc"
    assert asked == ["site.test"]


@pytest.mark.parametrize(
    "request_line",
    [
        "CONNECT site.test:80",
        "CONNECT site.test:4430",
        "CONNECT other.test:443",
        "CONNECT site.test.other.test:443",
        "CONNECT 127.0.0.1:443",
        "CONNECT 169.254.169.254:443",
        "CONNECT [::1]:443",
        "CONNECT site.test@other.test:443",
        "CONNECT site.test",
        "GET http://site.test/",
        "GET http://169.254.169.254/latest/meta-data",
    ],
)
def test_everything_else_is_refused(
    client: socket.socket, proxy: Proxy, asked: list[str], request_line: str
) -> None:
    client.sendall(f"{request_line} HTTP/1.1\r\n\r\n".encode())
    assert read(client).startswith(b"HTTP/1.1 403 ")
    assert not asked
    assert len(proxy.refused) == 1


def test_request_without_an_end_is_not_kept(client: socket.socket, asked: list[str]) -> None:
    client.sendall(b"CONNECT site.test:443 HTTP/1.1\r\nX: " + bytes(10_000))
    read(client)
    assert not asked


def test_connections_end_when_the_bytes_are_used_up(client: socket.socket) -> None:
    client.sendall(b"CONNECT site.test:443 HTTP/1.1\r\n\r\n")
    client.recv(100)
    for _ in range(10):
        try:
            client.sendall(bytes(LIMIT // 10))
        except OSError:
            break
    assert len(read(client)) <= LIMIT


def test_connections_end_with_the_proxy(client: socket.socket, proxy: Proxy) -> None:
    client.sendall(b"CONNECT site.test:443 HTTP/1.1\r\n\r\n")
    client.recv(100)
    proxy.__exit__(None, None, None)
    assert read(client) == b""


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fd00::1"])
def test_private_addresses_are_not_connected_to(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(*_: Any, **__: Any) -> list[Any]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.215.14", 0)),
            (2, 1, 6, "", (address, 0)),
        ]

    def connect(*_: Any) -> None:
        raise AssertionError("connected")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(FetchRefused, match="public address"):
        connect_publicly("soundcloud.com", Deadline(60))
