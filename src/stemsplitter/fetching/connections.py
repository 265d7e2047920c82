"""Connections to allowed addresses, with a deadline.

The host is resolved once, all its addresses must be allowed, and the connection is made to one of these addresses; so
DNS rebinding has no effect. TLS still verifies the certificate against the host name of the URL.
"""

import queue
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import httpcore

from stemsplitter.fetching.addresses import Address, Network, is_in, is_public, parse_address
from stemsplitter.fetching.errors import FetchFailed, FetchRefused
from stemsplitter.fetching.targets import PORTS

CONNECT_SECONDS = 10.0
READ_SECONDS = 20.0


class Deadline:
    """A deadline ``seconds`` from now."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self, at_most: float) -> float:
        """Return the remaining seconds, at most ``at_most``. Raises httpcore.ReadTimeout if none remain."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the time for the whole request is over")
        return min(left, at_most)


def allowed_addresses(host: str, port: int, networks: Sequence[Network], deadline: Deadline) -> list[Address]:
    """Resolve ``host`` and check the port and all addresses.

    Raises:
        FetchRefused: an address is neither public nor in ``networks``, or the port is not one of ``PORTS`` and an
            address is not in ``networks``.
        FetchFailed: the name is unknown or could not be resolved in time.
    """
    addresses = _look_up(host, deadline)
    if not all(is_public(address) or is_in(address, networks) for address in addresses):
        raise FetchRefused(
            f"{host} is not at a public address: use one that the whole internet can reach, "
            "or ask the operator of this server to allow its network."
        )
    if port not in PORTS and not all(is_in(address, networks) for address in addresses):
        allowed = ", ".join(str(number) for number in PORTS)
        raise FetchRefused(f"Port {port} may not be used: serve the URL on one of {allowed}.")
    return addresses


def _look_up(host: str, deadline: Deadline) -> list[Address]:
    """Return the distinct addresses of ``host``. Runs in a thread because the system's resolver has no timeout."""
    with suppress(ValueError):
        return [parse_address(host)]  # an address needs no lookup
    answers: queue.SimpleQueue[list[Any] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=ask, name="look up a host", daemon=True).start()
    try:
        answer = answers.get(timeout=deadline.left(CONNECT_SECONDS))
    except queue.Empty as error:
        raise FetchFailed(f"{host} could not be looked up in time: try again later.") from error
    if isinstance(answer, Exception):
        raise FetchFailed(f"{host} cannot be found: check the URL.") from answer
    try:
        found = dict.fromkeys(parse_address(entry[4][0]) for entry in answer)
    except ValueError as error:
        raise FetchRefused(f"{host} is not at a public address: use another URL.") from error
    if not found:
        raise FetchFailed(f"{host} cannot be found: check the URL.")
    return list(found)


class CheckedBackend(httpcore.NetworkBackend):
    """Network backend of httpcore that connects to allowed addresses only."""

    def __init__(self, networks: Sequence[Network], deadline: Deadline) -> None:
        self._networks = networks
        self._deadline = deadline
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception | None = None
        for address in allowed_addresses(host, port, self._networks, self._deadline):
            try:
                stream = self._plain.connect_tcp(
                    str(address), port, timeout=self._deadline.left(CONNECT_SECONDS)
                )
                return _TimedStream(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        assert failure is not None  # a host has at least one address
        raise failure


class _TimedStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left(READ_SECONDS))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left(READ_SECONDS))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = self._deadline.left(CONNECT_SECONDS)
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
