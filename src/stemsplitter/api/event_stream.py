"""Streams of server-sent events about jobs. One query per second reads the jobs of all streams of the process."""

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping
from contextlib import aclosing
from typing import Any, Final

from fastapi import Request
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from stemsplitter import account_ids
from stemsplitter.jobs.models import UNFINISHED
from stemsplitter.jobs.schemas import JobView
from stemsplitter.service_errors import RateLimited

POLL_SECONDS = 1.0
# proxies close connections that are silent for a minute, and only a write detects a closed one
KEEPALIVE_SECONDS = 15.0
MAX_SECONDS = 3600.0

WAIT: Final = None
Event = tuple[str, Any]
JobKey = tuple[str, str]  # account and id
Views = Mapping[JobKey, Any]  # a JobView, with its progress


def event_stream(
    request: Request, account_id: str, events: AsyncIterator[Event | None]
) -> EventSourceResponse:
    """Send events as they come from an iterator.

    The stream ends with the iterator, after an hour, or when the server stops; clients open a new one.

    Args:
        events: pairs of a name and JSON data, or :data:`WAIT` after each poll.

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
    """Counts the open event streams, or other ``what``, of accounts on this process, those of a test account as its
    owner's. Thread-safe."""

    def __init__(self, limit: int, what: str = "event streams") -> None:
        self._limit, self._what = limit, what
        self._open: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, account_id: str) -> None:
        """Count a stream. Raises RateLimited if the account has as many as it may have."""
        owner = account_ids.owner(account_id)
        with self._lock:
            if self._open[owner] >= self._limit:
                raise RateLimited(
                    f"{self._limit} {self._what} of this account are open: close one first.", self._what
                )
            self._open[owner] += 1

    def remove(self, account_id: str) -> None:
        """Count a stream as closed."""
        owner = account_ids.owner(account_id)
        with self._lock:
            self._open[owner] -= 1
            if not self._open[owner]:
                del self._open[owner]

    def count(self) -> int:
        """Return the number of open streams."""
        with self._lock:
            return self._open.total()


class JobPoller:
    """Reads the jobs that streams follow: those of all streams in one query, :data:`POLL_SECONDS` after the last.

    To be used from one event loop at a time.

    Args:
        read: returns the views of those of the jobs that exist. Runs in a thread.
    """

    def __init__(self, read: Callable[[Collection[JobKey]], Views]) -> None:
        self._read = read
        self._followed: Counter[JobKey] = Counter()
        self._poll: asyncio.Task[Views] | None = None

    async def follow(self, keys: Collection[JobKey]) -> AsyncGenerator[Views]:
        """Yield the views of those of the jobs that exist, after each poll. Jobs that have ended are not read
        again."""
        unfinished, ended = set(keys), dict[JobKey, JobView]()
        self._followed.update(unfinished)
        try:
            while True:
                views = await self._next()
                found = {key: views[key] for key in unfinished if key in views}
                yield {**ended, **found}
                now_ended = {key: view for key, view in found.items() if view.status not in UNFINISHED}
                ended |= now_ended
                unfinished -= now_ended.keys()
                self._unfollow(list(now_ended))
        finally:
            self._unfollow(unfinished)

    async def _next(self) -> Views:
        """Return the result of the next poll, which all streams that wait share."""
        poll = self._poll
        if poll is None or poll.done() or poll.get_loop() is not asyncio.get_running_loop():
            poll = self._poll = asyncio.create_task(self._run())
        return await asyncio.shield(poll)  # a stream that ends does not cancel the poll of the others

    async def _run(self) -> Views:
        await asyncio.sleep(POLL_SECONDS)
        keys = list(self._followed)
        return await run_in_threadpool(self._read, keys) if keys else {}

    def _unfollow(self, keys: Collection[JobKey]) -> None:
        self._followed.subtract(keys)
        for key in keys:
            if self._followed[key] <= 0:
                del self._followed[key]


async def job_events(poller: JobPoller, account_id: str, name: str, view: Any) -> AsyncIterator[Event | None]:
    """Yield events ``name`` with the view of a job as their data: at first, and when status or progress change, until
    the job has ended or is deleted."""
    yield name, _data(view)
    key = account_id, view.id
    async with aclosing(poller.follow([key])) as polls:
        while view.status in UNFINISHED:
            yield WAIT
            current = (await anext(polls)).get(key)
            if current is None:  # deleted meanwhile
                return
            if (current.status, current.progress) != (view.status, view.progress):
                yield name, _data(current)
            view = current


def _data(view: JobView) -> dict[str, Any]:
    return view.model_dump(mode="json", by_alias=True)


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


async def _encoded(
    events: AsyncIterator[Event | None], is_stopping: Callable[[], bool]
) -> AsyncIterator[bytes]:
    last_write = time.monotonic()
    end = last_write + MAX_SECONDS
    async for event in events:
        if event is WAIT:
            if is_stopping() or time.monotonic() > end:
                return
            if time.monotonic() - last_write < KEEPALIVE_SECONDS:
                continue
            yield KEEPALIVE_COMMENT
        else:
            name, data = event
            text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
            yield format_sse_event(event=name, data_str=text)
        last_write = time.monotonic()
