"""HTTP with timeouts and retries."""

from __future__ import annotations

import http.client
import io
import json
import logging
import random
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.error import HTTPError

from .errors import ConnectionFailed, StemSplitterError, error_of

VERSION = "0.1.0"
FIRST_DELAY_S, MAX_DELAY_S = 0.5, 8.0
MAX_RETRY_AFTER_S = 120.0
RETRIED = {408, 429, 500, 502, 503, 504}
LOST = (OSError, http.client.HTTPException)

_log = logging.getLogger("stemsplitter_client")

# (method, url, headers, body) → (status, headers, body), as of the package aistemsplitter
Transport = Callable[
    [str, str, dict[str, str], bytes | None],
    tuple[int, dict[str, str], dict[str, Any] | bytes | str],
]


class Response:
    """A response; ``stream`` is its unread body."""

    def __init__(self, status: int, headers: Iterable[tuple[str, str]], stream: Any) -> None:
        self.status = status
        self.headers = {name.lower(): value for name, value in headers}
        self.stream = stream

    def read(self) -> bytes:
        with self.stream:
            content: bytes = self.stream.read()
        return content

    def json(self) -> Any:
        """Return the parsed body; empty if it is not JSON, as of a proxy."""
        try:
            return json.loads(self.read().decode("utf-8"))
        except ValueError:
            return {}

    @property
    def retry_after(self) -> float | None:
        value = self.headers.get("retry-after", "")
        return float(value) if value.isdecimal() else None


class Http:
    """Sends requests, and repeats those that can be repeated.

    Args:
        timeout: seconds that a connection may be silent.
        max_retries: repetitions of a request.
        sleep: waits a number of seconds.
        transport: sends requests instead of ``urllib``.
    """

    def __init__(
        self, timeout: float, max_retries: int, sleep: Callable[[float], None], transport: Transport | None
    ) -> None:
        self.timeout, self.max_retries, self.sleep, self.transport = timeout, max_retries, sleep, transport

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        timeout: float | None = None,
    ) -> Response:
        """Send a request once. Raises OSError or HTTPException if the connection fails."""
        headers = {"User-Agent": f"stemsplitter-python/{VERSION}", **headers}
        if self.transport:
            return _from_transport(*self.transport(method, url, headers, body))
        request = urllib.request.Request(url, body, method=method)
        for name, value in headers.items():
            request.add_unredirected_header(name, value)  # the key must not reach the host of a redirect
        try:
            response = urllib.request.urlopen(request, timeout=timeout or self.timeout)
        except HTTPError as error:
            return Response(error.code, error.headers.items(), error)
        return Response(response.status, response.headers.items(), response)

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        *,
        is_repeatable: bool = True,
        read: Callable[[Response], Any] = Response.json,
    ) -> tuple[Any, int]:
        """Send a request until it succeeds. Returns its body, as ``read`` returns it, and the number of attempts.

        Responses 429 are always repeated; lost connections and errors of the server only if it ``is_repeatable``.
        """
        attempt = 0
        while True:
            attempt += 1
            retry_after: float | None = None
            error: StemSplitterError
            cause: Exception | None = None
            try:
                response = self.send(method, url, headers, body)
                if response.status < 300:
                    return read(response), attempt
                retry_after = response.retry_after
                error = error_of(response.status, response.json(), retry_after)
                again = self._is_temporary(response, is_repeatable)
            except LOST as lost:
                error, again = (
                    ConnectionFailed(f"{method} {url} failed: {lost or type(lost).__name__}."),
                    is_repeatable,
                )
                cause = lost
            error.attempts = attempt
            if not again or attempt > self.max_retries or (retry_after or 0) > MAX_RETRY_AFTER_S:
                raise error from cause
            self.pause(attempt, retry_after, error)

    def _is_temporary(self, response: Response, is_repeatable: bool) -> bool:
        if response.status == 429 or (response.status == 409 and "retry-after" in response.headers):
            return True  # the server did nothing, or is doing it for the same idempotency key
        return is_repeatable and response.status in RETRIED

    def pause(self, attempt: int, retry_after: float | None, error: StemSplitterError) -> None:
        """Wait before the next attempt, as long as the server asks for, else exponentially longer with jitter."""
        delay = min(FIRST_DELAY_S * 2 ** (attempt - 1), MAX_DELAY_S) * random.uniform(0.5, 1)
        delay = retry_after if retry_after is not None else delay
        _log.info("retry %d in %.1f s: %s", attempt, delay, error)
        self.sleep(delay)


def _from_transport(
    status: int, headers: Mapping[str, str], body: Mapping[str, Any] | bytes | str
) -> Response:
    if isinstance(body, Mapping):
        body = json.dumps(body)
    return Response(status, headers.items(), io.BytesIO(body.encode() if isinstance(body, str) else body))
