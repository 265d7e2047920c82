"""A proxy for CONNECT requests that connects to the hosts of one site, at public addresses, on port 443.

It listens on a Unix socket in a folder of its user, so that no other user of the machine can use it.
"""

import contextlib
import logging
import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import httpcore

from stemsplitter.fetching import FetchError
from stemsplitter.fetching.connections import CONNECT_SECONDS, READ_SECONDS, Deadline, allowed_addresses

PORT = 443
MAX_CONNECTIONS = 32
_LONGEST_REQUEST = 8192
_BLOCK = 1 << 16
_REQUEST = re.compile(rb"CONNECT ([a-z0-9.-]{1,253}):([0-9]{1,5}) HTTP/1\.[01]\r\n", re.I)

_log = logging.getLogger(__name__)

Connect = Callable[[str, Deadline], socket.socket]


def connect_publicly(host: str, deadline: Deadline) -> socket.socket:
    """Connect to ``host`` on port 443, if all its addresses are public.

    Raises:
        FetchRefused, FetchFailed: see :func:`~stemsplitter.fetching.connections.allowed_addresses`.
        OSError: no address could be connected to.
    """
    failure: OSError | None = None
    for address in allowed_addresses(host, PORT, (), deadline):
        try:
            return socket.create_connection((str(address), PORT), deadline.left(CONNECT_SECONDS))
        except OSError as error:
            failure = error
    assert failure is not None  # a host has at least one address
    raise failure


class Proxy:
    """The proxy, open within its ``with`` block.

    Args:
        path: of the Unix socket.
        is_allowed: whether a host may be connected to.
        max_bytes: bytes that all connections together may receive; then they end.
        deadline: when all connections end.
        connect: opens a connection to an allowed host.

    Attributes:
        refused: hosts that were asked for and are not allowed.
    """

    def __init__(
        self,
        path: Path,
        is_allowed: Callable[[str], bool],
        max_bytes: int,
        deadline: Deadline,
        connect: Connect = connect_publicly,
    ) -> None:
        self.refused: list[str] = []
        self._is_allowed, self._left = is_allowed, max_bytes
        self._deadline, self._connect = deadline, connect
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(MAX_CONNECTIONS)

    def __enter__(self) -> "Proxy":
        threading.Thread(target=self._accept, name="link proxy", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            ending = [self._listener, *self._open]
            self._open.clear()
        for each in ending:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the listener is closed
            while True:
                client, _ = self._listener.accept()
                if not self._free.acquire(blocking=False):
                    client.close()
                    continue
                with self._lock:
                    self._open.add(client)
                threading.Thread(
                    target=self._serve, args=(client,), name="link connection", daemon=True
                ).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            with client, contextlib.suppress(OSError, httpcore.TimeoutException):
                client.settimeout(self._deadline.left(READ_SECONDS))
                if (server := self._answer(client)) is not None:
                    with server:
                        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                        self._relay(client, server)
        finally:
            with self._lock:
                self._open.discard(client)
            self._free.release()

    def _answer(self, client: socket.socket) -> socket.socket | None:
        """Read the request. Return the connection to its host; None if it was refused."""
        request = b""
        while b"\r\n\r\n" not in request:
            part = client.recv(_LONGEST_REQUEST - len(request))
            if not part:
                return None
            request += part
        found = _REQUEST.match(request)
        host = found[1].decode("ascii").lower() if found else ""
        if found is None or int(found[2]) != PORT or not self._is_allowed(host):
            self._refuse(client, host or "a host without TLS", b"403 Forbidden")
            return None
        try:
            return self._connect(host, self._deadline)
        except (FetchError, OSError) as error:
            _log.info("link: %s: %s", host, error)
            self._refuse(client, host, b"502 Bad Gateway")
            return None

    def _refuse(self, client: socket.socket, host: str, status: bytes) -> None:
        self.refused.append(host)
        client.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        """Copy bytes in both directions until one side ends, the bytes are used up or the deadline is over."""
        server.settimeout(READ_SECONDS)
        client.settimeout(READ_SECONDS)

        def send_requests() -> None:
            with contextlib.suppress(OSError):
                while part := client.recv(_BLOCK):
                    server.sendall(part)
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)

        threading.Thread(target=send_requests, name="link requests", daemon=True).start()
        while part := server.recv(_BLOCK):
            self._deadline.left(READ_SECONDS)
            with self._lock:
                self._left -= len(part)
                if self._left < 0:
                    break
            client.sendall(part)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
