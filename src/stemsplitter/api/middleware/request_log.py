"""Middleware around every request: its id, log line, duration and trace, and the response to an unexpected error."""

import logging
import re
import secrets
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from http import HTTPStatus

import structlog
from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stemsplitter import tracing
from stemsplitter.api.errors import unexpected
from stemsplitter.api.routes.metrics import LATENCY

_log = logging.getLogger("stemsplitter.access")
_PROBES = ("/healthz", "/readyz", "/metrics")  # requested every few seconds, and not traced
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestLog:
    """Gives each request an id (the client's ``X-Request-Id`` if it is valid), and logs, times and traces it."""

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
            _span(request) as set_result,
        ):
            try:
                await self._app(scope, receive, send_with_id)
            except Exception as error:
                # the response has begun: close the connection, so that the client does not take it for complete
                if status:
                    _log.exception("request failed")
                    raise
                await unexpected(request, error)(scope, receive, send_with_id)
            finally:
                set_result(_route(request), status)
                _record(request, status, time.perf_counter() - started)


class UnexpectedErrors:
    """Responds with 500 to an exception of the application, and logs it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def send_tracked(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, send_tracked)
        except Exception as error:
            if started or scope["type"] != "http":
                raise
            await unexpected(Request(scope, receive), error)(scope, receive, send)


def _span(request: Request) -> AbstractContextManager[Callable[[str | None, int], None]]:
    if request.url.path in _PROBES:
        return nullcontext(lambda route, status: None)
    return tracing.request(request.method, request.headers.get("traceparent"))


def _route(request: Request) -> str | None:
    """Return the template of the path: file paths contain signatures, and metrics must not grow with ids."""
    return getattr(request.scope.get("route"), "path", None)


def _record(request: Request, status: int, seconds: float) -> None:
    # any client can send all methods to all paths, and a series is kept for each
    route = "other" if status == HTTPStatus.METHOD_NOT_ALLOWED else _route(request) or "other"
    LATENCY.labels(request.method if route != "other" else "other", route, status).observe(seconds)
    if caller := getattr(request.state, "caller", None):
        request.app.state.services.api_requests.add(
            caller.owner_id,
            caller.key_id,
            request.method,
            _route(request) or "unknown",
            status,
            request.state.request_id,
            seconds * 1000,
        )
    # clients poll every two seconds, and a log line costs a third of a poll
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
