"""Streams of server-sent events that follow a changing state by polling it."""

import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

import anyio
from fastapi import Request
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from starlette.concurrency import run_in_threadpool

POLL_SECONDS = 1.0
# proxies close connections that are silent for a minute, and only a write detects a closed one
KEEPALIVE_SECONDS = 15.0
MAX_SECONDS = 3600.0

WAIT: Final = None
Event = tuple[str, Any]
_END: Event = ("", None)


def event_stream(request: Request, events: Iterator[Event | None]) -> EventSourceResponse:
    """Send events as they come from an iterator, which reads the state.

    The stream ends with the iterator, after an hour, or when the server stops; clients open a new one.

    Args:
        events: pairs of a name and JSON data, or :data:`WAIT` where the state is to be polled again after
            :data:`POLL_SECONDS`. Runs in threads.
    """
    is_stopping = getattr(request.app.state, "is_stopping", lambda: False)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return EventSourceResponse(_encoded(events, is_stopping), headers=headers)


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
