"""Round every request: its id, its log line, its time, and an answer when all else fails."""

import logging
import re
import secrets
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import structlog
from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stemsplitter import tracing
from stemsplitter.api.errors import fault
from stemsplitter.api.routes.metrics import LATENCY

_log = logging.getLogger("stemsplitter.access")
_PROBES = ("/healthz", "/readyz", "/metrics")  # asked every few seconds, and in nobody's trace
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Access:
    """Gives each request an id (the caller's ``X-Request-Id`` where it has a sane one), logs and times it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        sent = request.headers.get("x-request-id", "")
        request_id = sent if _ID.fullmatch(sent) else f"req_{secrets.token_hex(11)}"
        request.state.request_id = request_id
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        started = time.perf_counter()
        with (
            structlog.contextvars.bound_contextvars(request_id=request_id),
            _span(request) as answered,
        ):
            try:
                await self._app(scope, receive, send_with_id)
            except Exception as error:
                # half an answer is out: break the connection, so that nobody takes it for a whole one
                if status:
                    _log.exception("request failed")
                    raise
                await fault(request, error)(scope, receive, send_with_id)
            finally:
                answered(_route(request), status)
                _record(request, status, time.perf_counter() - started)


class Faults:
    """Answers 500 where the application fails, and logs why."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def send_noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, send_noting)
        except Exception as error:
            # half an answer is out: break the connection, so that nobody takes it for a whole one
            if started or scope["type"] != "http":
                raise
            await fault(Request(scope, receive), error)(scope, receive, send)


def _span(request: Request) -> AbstractContextManager[Callable[[str | None, int], None]]:
    if request.url.path in _PROBES:
        return nullcontext(lambda route, status: None)
    return tracing.request(request.method, request.headers.get("traceparent"))


def _route(request: Request) -> str | None:
    """The template of the path, if there is one: paths of files hold signatures, and metrics must not grow with ids."""
    return getattr(request.scope.get("route"), "path", None)


def _record(request: Request, status: int, seconds: float) -> None:
    route = _route(request) or "other"
    LATENCY.labels(request.method if route != "other" else "other", route, status).observe(seconds)
    # a client polls every two seconds: lines that nobody reads, at a third of a poll's cost
    level = logging.DEBUG if getattr(request.state, "is_poll", False) else logging.INFO
    if not _log.isEnabledFor(level):
        return
    fields = {
        "method": request.method,
        "route": route,
        "status": status,
        "ms": round(seconds * 1000, 1),
        "client": request.client.host if request.client else None,
    }
    if caller := getattr(request.state, "caller", None):
        fields["account_id"] = caller.account_id
    if split_id := request.path_params.get("split_id"):
        fields["split_id"] = split_id
    _log.log(level, "request", extra=fields)
