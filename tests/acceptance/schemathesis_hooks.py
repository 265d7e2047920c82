"""Hooks for schemathesis: a check of the response envelope, and URLs that stay on loopback."""

import itertools
import json
import os
from typing import Any
from urllib.parse import urlsplit

import schemathesis

SONG = os.environ["SCHEMATHESIS_SONG"]
STREAMS = ("application/zip", "text/event-stream")

schemathesis.serializer.alias("application/partial-upload", "application/octet-stream")


@schemathesis.check
def has_envelope(ctx: Any, response: Any, case: Any) -> None:
    """Require the envelope in every response of /v1, except for archives and event streams."""
    if not case.path.startswith("/v1/"):
        return
    if response.status_code == 302:
        return  # a redirect to a file
    kind = response.headers["content-type"][0]
    if response.status_code == 200 and kind.startswith(STREAMS):
        return
    if "/stems/" in case.path and kind.startswith("audio/"):
        return  # the file
    assert kind == "application/json", kind
    body = json.loads(response.content)
    done = response.status_code in (200, 202)
    assert list(body) == ["success", "data" if done else "error"], body
    assert body["success"] is done
    if not done:
        assert list(body["error"])[:2] == ["code", "message"], body
    for name in (
        "x-request-id",
        "ratelimit",
        "ratelimit-policy",
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
    ):
        assert name in response.headers, name


@schemathesis.hook
def map_body(ctx: Any, body: Any) -> Any:
    """Replace all URLs in a body with one on loopback."""
    return _on_loopback(body)


def _on_loopback(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _on_loopback(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_on_loopback(each) for each in value]
    if isinstance(value, str) and "//" in value:
        try:
            host = urlsplit(value).netloc
        except ValueError:
            return value
        return SONG if host and len(value) < 8192 else value
    return value


_numbers = itertools.count()


@schemathesis.hook
def map_headers(ctx: Any, headers: Any) -> Any:
    """Make idempotency keys unique: a replay may name a resource that another sequence of calls has deleted."""
    if not headers:
        return headers
    return {
        name: f"{value}-{next(_numbers)}"
        if name.lower() == "idempotency-key" and isinstance(value, str) and 0 < len(value) < 200
        else value
        for name, value in headers.items()
    }
