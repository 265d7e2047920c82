"""HTTP connections with deadlines and a cap, so that slow or idle clients cannot exhaust the server.

A client that sends the headers or the body of a request too slowly is answered with 408 and disconnected. When as many
connections are open as the server may have, the one that has waited longest for a complete request is closed in favor
of a new one. If all have a request in progress, and one network has over half of them, its oldest is closed.
"""

import asyncio
import ipaddress
import logging
import os
import resource
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from stemsplitter import refusals
from stemsplitter.rate_limits.service import network

# the parser itself has no bound; long cookies and signed URLs stay far below
MAX_HEADER_BYTES = 64 * 1024
# what a body must bring in each period of its deadline: 1 kB/s over 30 s
MIN_BODY_BYTES_PER_SECOND = 1000
# descriptors for all that is not a connection of a client: databases, files, pipes, stores
RESERVED_DESCRIPTORS = 256

LOG_SECONDS = 10.0  # between two lines about a limit that is reached many times a second

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class ConnectionLimits:
    """Limits of all connections of a process, and the connections without a complete request, oldest first.

    Args:
        max_connections: how many may be open at a time.
        header_seconds: for a new connection to send its first request's headers, and for any begun headers to end.
        body_seconds: the period in which a body must bring ``MIN_BODY_BYTES_PER_SECOND`` on average.
    """

    max_connections: int
    header_seconds: float
    body_seconds: float
    waiting: dict["BoundedProtocol", None] = field(default_factory=dict)
    of_network: dict[str, dict["BoundedProtocol", None]] = field(default_factory=dict)
    log_at: float = 0.0
    proxies: frozenset[str] = field(default_factory=lambda: trusted_proxies())

    def protocol(self, **arguments: Any) -> "BoundedProtocol":
        """Make the protocol of a new connection: the ``http`` class of uvicorn's configuration."""
        return BoundedProtocol(self, **arguments)

    def make_room(self, open_connections: int) -> bool:
        """Close the connection that has waited longest where too many are open; return whether there is room.

        If none waits, and clients of one network have over half of the connections, the oldest of these is closed.
        """
        if open_connections <= self.max_connections:
            return True
        refusals.count("connections")
        longest = next(iter(self.waiting), None) or self._oldest_of_the_largest()
        if longest is None:
            return False
        if time.monotonic() >= self.log_at:
            self.log_at = time.monotonic() + LOG_SECONDS
            _log.warning("connection limit of %d reached: closing the oldest ones", self.max_connections)
        longest.drop()
        return True

    def _oldest_of_the_largest(self) -> "BoundedProtocol | None":
        half = self.max_connections // 2
        large = ((name, made) for name, made in self.of_network.items() if len(made) > half)
        return next((next(iter(made)) for name, made in large if not self._is_proxy(name)), None)

    def _is_proxy(self, name: str) -> bool:
        """Return True if a proxy that is trusted is in the network with this name."""
        if "*" in self.proxies or name in self.proxies:
            return True
        try:
            own = ipaddress.ip_network(name)
        except ValueError:
            return False
        for proxy in self.proxies:
            with suppress(ValueError):
                trusted = ipaddress.ip_network(proxy, strict=False)
                if own.version == trusted.version and own.overlaps(trusted):
                    return True
        return False


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol with the limits of :class:`ConnectionLimits`."""

    def __init__(self, limits: ConnectionLimits, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._limits = limits
        self._network = ""
        self._deadline: asyncio.TimerHandle | None = None
        self._header_bytes: int | None = 0  # None while no headers are being received
        self._body_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._network = network(self.client[0]) if self.client else ""
        self._limits.of_network.setdefault(self._network, {})[self] = None
        if not self._limits.make_room(len(self.connections)):
            self._refuse(b"503 Service Unavailable", b"Too many connections: try again later.")
            return
        self._wait()
        self._arm(self._limits.header_seconds, self._headers_are_late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self._limits.waiting.pop(self, None)
        self._leave_network()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._header_bytes is not None:
            self._header_bytes += len(data)
        super().data_received(data)
        if (self._header_bytes or 0) > MAX_HEADER_BYTES and not self.transport.is_closing():
            refusals.count("headers")
            self._refuse(
                b"431 Request Header Fields Too Large", b"The headers are too large: send at most 64 KiB."
            )

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._header_bytes is None:
            self._header_bytes = 0
            self._arm(self._limits.header_seconds, self._headers_are_late)

    def on_headers_complete(self) -> None:
        self._header_bytes = None
        self._body_bytes = 0
        self._limits.waiting.pop(self, None)
        self._arm(self._limits.body_seconds, self._check_body)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._disarm()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.pipeline:
            self._wait()

    def drop(self) -> None:
        """Close the connection at once."""
        self._limits.waiting.pop(self, None)
        self._leave_network()
        self.connections.discard(self)
        self.transport.abort()

    def _leave_network(self) -> None:
        made = self._limits.of_network.get(self._network, {})
        made.pop(self, None)
        if not made:
            self._limits.of_network.pop(self._network, None)

    def _wait(self) -> None:
        """Count the connection among those without a request in progress, as the newest."""
        self._limits.waiting.pop(self, None)
        self._limits.waiting[self] = None

    def _arm(self, seconds: float, then: Callable[[], None]) -> None:
        self._disarm()
        self._deadline = self.loop.call_later(seconds, then)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _headers_are_late(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            refusals.count("headers")
            self._refuse(
                b"408 Request Timeout", b"The headers did not arrive in time: send the request again."
            )
        else:  # headers of a pipelined request, while another is answered
            self._arm(self._limits.header_seconds, self._headers_are_late)

    def _check_body(self) -> None:
        enough = self._body_bytes >= MIN_BODY_BYTES_PER_SECOND * self._limits.body_seconds
        # a body that the server itself does not read on is not late
        if enough or self.flow.read_paused:
            self._body_bytes = 0
            self._arm(self._limits.body_seconds, self._check_body)
            return
        refusals.count("body")
        if self.cycle.response_started:
            self.transport.abort()
        else:
            self._refuse(b"408 Request Timeout", b"The body did not arrive in time: send the request again.")

    def _refuse(self, status: bytes, message: bytes) -> None:
        """Answer without the application, and close the connection."""
        self._disarm()
        self._limits.waiting.pop(self, None)
        headers = b"content-type: text/plain; charset=utf-8\r\nconnection: close\r\n"
        length = str(len(message)).encode()
        self.transport.write(
            b"HTTP/1.1 %s\r\n%scontent-length: %s\r\n\r\n%s" % (status, headers, length, message)
        )
        self.transport.close()


def trusted_proxies() -> frozenset[str]:
    """Return the addresses and networks of reverse proxies, which have the connections of all clients: those that
    uvicorn trusts."""
    return frozenset(
        each.strip() for each in os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1,::1").split(",")
    )


def raise_file_limit() -> int:
    """Raise the limit of open files to what the system allows, and return how many connections fit into it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):
            _log.warning("the limit of open files stays at %d", soft)
    if soft == resource.RLIM_INFINITY:
        return 2**31
    return max(soft - RESERVED_DESCRIPTORS, soft // 2)
