"""A load generator over persistent HTTP/1.1 connections.

General HTTP clients are slower than the servers that are measured.
"""

import contextlib
import selectors
import socket
import time
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

READ_BYTES = 1 << 16


def request(url: str, headers: Mapping[str, str]) -> bytes:
    """Encode a GET request."""
    parts = urlsplit(url)
    lines = [f"GET {parts.path} HTTP/1.1", f"Host: {parts.netloc}", *map(": ".join, headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def per_second(address: tuple[str, int], requests: Sequence[bytes], seconds: float) -> float:
    """Measure responses per second of a server that gets each request repeatedly on its own connection.

    Raises:
        RuntimeError: a response has another status than 200.
    """
    with contextlib.ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        for each in requests:
            connection = stack.enter_context(socket.create_connection(address, timeout=10))
            selector.register(connection, selectors.EVENT_READ, (each, bytearray()))
            connection.sendall(each)
        began, answers = time.perf_counter(), 0
        while (elapsed := time.perf_counter() - began) < seconds:
            for key, _ in selector.select(timeout=1):
                connection, (each, received) = key.fileobj, key.data
                assert isinstance(connection, socket.socket)
                received += connection.recv(READ_BYTES)
                if _is_whole(received):
                    answers += 1
                    received.clear()
                    connection.sendall(each)
    return answers / elapsed


def _is_whole(received: bytearray) -> bool:
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator:
        return False
    if not head.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(received.decode(errors="replace"))
    lines = (line.partition(b":") for line in head.lower().split(b"\r\n"))
    return len(body) >= next(int(value) for name, _, value in lines if name == b"content-length")
