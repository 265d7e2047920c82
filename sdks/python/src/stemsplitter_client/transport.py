"""HTTP with timeouts and retries."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import logging
import random
import threading
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import Any
from urllib.error import HTTPError

from .errors import ConnectionFailed, StemSplitterError, error_of

VERSION = "0.1.0"
FIRST_DELAY_S, MAX_DELAY_S = 0.5, 8.0
MAX_RETRY_AFTER_S = 120.0
RETRIED = {408, 429, 500, 502, 503, 504}
LOST = (OSError, http.client.HTTPException)
CANCELED: ContextVar[threading.Event | None] = ContextVar("CANCELED", default=None)
"""Set when the task that waits for this thread was canceled."""

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

    def json(self) -> Any:
        """Return the parsed body; empty if it is not JSON, as of a proxy."""
        with self.stream:
            content: bytes = self.stream.read()
        try:
            return json.loads(content.decode("utf-8"))
        except ValueError:
            return {}

    @property
    def retry_after(self) -> float | None:
        value = self.headers.get("retry-after", "")
        return float(value) if value.isdecimal() else None

    def error(self) -> StemSplitterError:
        """Return the error that this response is."""
        return error_of(self.status, self.json(), self.retry_after)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None  # the key must not reach the target of a redirect


_opener = urllib.request.build_opener(_NoRedirects)


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
        check_canceled()
        headers = {"User-Agent": f"stemsplitter-python/{VERSION}", **headers}
        if self.transport:
            status, names, content = self.transport(method, url, headers, body)
            text = json.dumps(content) if isinstance(content, Mapping) else content
            return Response(
                status, names.items(), io.BytesIO(text.encode() if isinstance(text, str) else text)
            )
        request = urllib.request.Request(url, body, headers, method=method)
        try:
            response = _opener.open(request, timeout=timeout or self.timeout)
        except HTTPError as error:
            return Response(error.code, error.headers.items(), error)
        return Response(response.status, response.headers.items(), response)

    def request(
        self,
        method: str,
        url: str,
        headers: Callable[[], Mapping[str, str]],
        body: bytes | None = None,
        *,
        is_repeatable: bool = True,
        read: Callable[[Response], Any] = Response.json,
    ) -> Any:
        """Send a request until it succeeds. Returns its body, as ``read`` returns it.

        Responses 429 are always repeated; lost connections and errors of the server only if it ``is_repeatable``.
        """
        attempt = 0
        while True:
            attempt += 1
            cause: Exception | None = None
            try:
                response = self.send(method, url, headers(), body)
                if response.status < 400:
                    return read(response)
                error = response.error()
                again = self._is_temporary(response, is_repeatable)
            except LOST as lost:
                if isinstance(lost, OSError) and lost.filename:
                    raise  # of a local file
                error, again, cause = lost_error(f"{method} {url}", lost), is_repeatable, lost
            error.attempts = attempt
            if not again or attempt > self.max_retries or (error.retry_after or 0) > MAX_RETRY_AFTER_S:
                raise error from cause
            self.pause(attempt, error)

    def _is_temporary(self, response: Response, is_repeatable: bool) -> bool:
        if response.status == 429 or (response.status == 409 and "retry-after" in response.headers):
            return True  # the server did nothing, or is doing it for the same idempotency key
        return is_repeatable and response.status in RETRIED

    def pause(self, attempt: int, error: StemSplitterError) -> None:
        """Wait before the next attempt, as long as the server asks for, else exponentially longer with jitter."""
        delay = min(FIRST_DELAY_S * 2 ** (attempt - 1), MAX_DELAY_S) * random.uniform(0.5, 1)
        delay = error.retry_after if error.retry_after is not None else delay
        _log.info("retry %d in %.1f s: %s", attempt, delay, error)
        self.sleep(delay)


def lost_error(action: str, lost: Exception) -> StemSplitterError:
    """Return the error of a lost connection."""
    reason = getattr(lost, "reason", lost)  # that of URLError, without its brackets
    return ConnectionFailed(f"{action} failed: {reason or type(lost).__name__}.")


def check_canceled() -> None:
    """Raise CancelledError if the task that waits for this thread was canceled."""
    canceled = CANCELED.get()
    if canceled and canceled.is_set():
        raise asyncio.CancelledError
