"""Waiting for the end of a split: server-sent events, and polling where they fail."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from .errors import ConnectionFailed, RateLimited, ServerError, WaitTimeout
from .transport import LOST, Http, Response

ENDED = {"succeeded", "failed"}
SILENCE_S = 40.0  # the server sends a comment every 15 seconds

Split = dict[str, Any]


def wait(
    get_split: Callable[[], Split],
    open_events: Callable[[float], Response] | None,
    http: Http,
    split_id: str,
    timeout: float,
    interval: float,
    on_update: Callable[[Split], None] | None,
) -> Split:
    """Return the split when it has ended. Lost connections and a restart of the server do not end the wait.

    Raises:
        WaitTimeout: it has not ended after ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    last = None
    while True:
        for split in _changes(get_split, open_events, deadline):
            if split is None:
                open_events = None
                continue
            state = split.get("status"), split.get("progress")
            if state != last and on_update:
                on_update(split)
            last = state
            if split.get("status") in ENDED:
                return split
            if time.monotonic() >= deadline:
                break
        left = deadline - time.monotonic()
        if left <= 0:
            raise WaitTimeout(f"Timed out waiting for split {split_id}.")
        http.sleep(min(interval, left))


def _changes(
    get_split: Callable[[], Split], open_events: Callable[[float], Response] | None, deadline: float
) -> Iterator[Split | None]:
    """Yield the split as its events come, and once more from a poll; None if the server has no events."""
    left = deadline - time.monotonic()
    if open_events and left > 0:
        try:
            response = open_events(max(0.1, min(SILENCE_S, left)))
            if "text/event-stream" in response.headers.get("content-type", ""):
                with response.stream:
                    yield from _events(response.stream, deadline)
            else:
                response.read()
                if response.status not in (401, 429) and response.status < 500:
                    yield None
        except LOST:
            pass
    # while the server restarts; the next poll finds it
    with contextlib.suppress(ConnectionFailed, ServerError, RateLimited):
        yield get_split()


def _events(lines: Any, deadline: float) -> Iterator[Split]:
    name, data = "", ""
    for raw in lines:
        line = raw.decode("utf-8").rstrip("\r\n")
        field, _, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if field == "event":
            name = value
        elif field == "data":
            data += value
        elif not line:
            if name == "split" and data:
                yield json.loads(data)
            name, data = "", ""
        if time.monotonic() >= deadline:
            return
