"""Streams of server-sent events that follow a changing state by polling it."""

import json
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

import anyio
from fastapi import Request
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from stemsplitter.service_errors import RateLimited

POLL_SECONDS = 1.0
# proxies close connections that are silent for a minute, and only a write detects a closed one
KEEPALIVE_SECONDS = 15.0
MAX_SECONDS = 3600.0

WAIT: Final = None
Event = tuple[str, Any]
_END: Event = ("", None)


def event_stream(request: Request, account_id: str, events: Iterator[Event | None]) -> EventSourceResponse:
    """Send events as they come from an iterator, which reads the state.

    The stream ends with the iterator, after an hour, or when the server stops; clients open a new one.

    Args:
        events: pairs of a name and JSON data, or :data:`WAIT` where the state is to be polled again after
            :data:`POLL_SECONDS`. Runs in threads.

    Raises:
        RateLimited: the account has as many streams open on this process as it may have.
    """
    open_streams: OpenStreams = request.app.state.open_streams
    is_stopping = getattr(request.app.state, "is_stopping", lambda: False)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    open_streams.add(account_id)
    return _CountedResponse(
        _encoded(events, is_stopping), headers=headers, close=lambda: open_streams.remove(account_id)
    )


class OpenStreams:
    """Counts the open event streams of accounts on this process. Thread-safe."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, account_id: str) -> None:
        """Count a stream. Raises RateLimited if the account has as many as it may have."""
        with self._lock:
            if self._open[account_id] >= self._limit:
                raise RateLimited(
                    f"{self._limit} event streams of this account are open: close one first.", "event streams"
                )
            self._open[account_id] += 1

    def remove(self, account_id: str) -> None:
        """Count a stream as closed."""
        with self._lock:
            self._open[account_id] -= 1
            if not self._open[account_id]:
                del self._open[account_id]


class _CountedResponse(EventSourceResponse):
    """A stream that calls ``close`` when it has ended, however it ends."""

    def __init__(self, content: AsyncIterator[bytes], *, close: Callable[[], None], **options: Any) -> None:
        super().__init__(content, **options)
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._close()


async def _encoded(events: Iterator[Event | None], is_stopping: Callable[[], bool]) -> AsyncIterator[bytes]:
    last_write = time.monotonic()
    end = last_write + MAX_SECONDS
    while (event := await run_in_threadpool(next, events, _END)) is not _END:
        if event is WAIT:
            if is_stopping() or time.monotonic() > end:
                return
            await anyio.sleep(POLL_SECONDS)
            if time.monotonic() - last_write < KEEPALIVE_SECONDS:
                continue
            yield KEEPALIVE_COMMENT
        else:
            name, data = event
            text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
            yield format_sse_event(event=name, data_str=text)
        last_write = time.monotonic()
