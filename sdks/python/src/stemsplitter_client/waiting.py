"""Waiting for the end of a job: server-sent events, and polling where they fail."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from .errors import ConnectionFailed, RateLimited, ServerError, WaitTimeout
from .transport import LOST, Http, Response, check_canceled

SILENCE_S = 40.0  # the server sends a comment every 15 seconds

Json = dict[str, Any]


def wait(
    get: Callable[[], Json],
    open_events: Callable[[float], Response] | None,
    http: Http,
    timeout: float,
    interval: float,
    on_update: Callable[[Json], None] | None,
) -> Json:
    """Return the job when it has ended. Lost connections and a restart of the server do not end the wait.

    Raises:
        WaitTimeout: it has not ended after ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    last = None
    while True:
        for job in _changes(get, open_events, deadline):
            if job is None:
                open_events = None
                continue
            state = job.get("status"), job.get("progress")
            if state != last and on_update:
                on_update(job)
            last = state
            if job.get("status") in ("succeeded", "failed"):
                return job
            if time.monotonic() >= deadline:
                break
        left = deadline - time.monotonic()
        if left <= 0:
            raise WaitTimeout(f"The job had not ended after {timeout:g} s.")
        http.sleep(min(interval, left))


def _changes(
    get: Callable[[], Json], open_events: Callable[[float], Response] | None, deadline: float
) -> Iterator[Json | None]:
    """Yield the job as its events come, and once more from a poll; None if the server has no events."""
    left = deadline - time.monotonic()
    if open_events and left > 0:
        with contextlib.suppress(*LOST):
            response = open_events(max(0.1, min(SILENCE_S, left)))
            with response.stream:
                if "text/event-stream" in response.headers.get("content-type", ""):
                    yield from _events(response.stream, deadline)
                elif response.status not in (401, 429) and response.status < 500:
                    yield None
    # while the server restarts; the next poll finds it
    with contextlib.suppress(ConnectionFailed, ServerError, RateLimited):
        yield get()


def _events(lines: Any, deadline: float) -> Iterator[Json]:
    data = ""
    for raw in lines:
        check_canceled()
        line = raw.decode("utf-8").rstrip("\r\n")
        if line.startswith("data:"):
            data += line[5:]
        elif not line:
            if data:
                yield json.loads(data)
            data = ""
        if time.monotonic() >= deadline:
            return
