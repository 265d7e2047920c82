"""The door of ``/v1``: who calls, how often, and with how large a body."""

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stemsplitter.accounts.service import Caller
from stemsplitter.api.errors import NO_PATH, answer
from stemsplitter.api.rate_limits import Quota
from stemsplitter.application import Application
from stemsplitter.service_errors import Unauthorized

LARGEST_BODY = 64 * 1024  # bytes of JSON
_READING = ("GET", "HEAD", "OPTIONS")


class Admission:
    """Checks the key once, counts the request, bounds the body, and writes the quota into every answer.

    A request without a valid key is counted to its address, and goes on: its endpoint refuses it, or
    there is no such path.
    """

    def __init__(self, app: ASGIApp, application: Application) -> None:
        self._app = app
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        caller, quota = await run_in_threadpool(self._admit, request)
        scope["state"]["caller"] = caller
        headers = self._application.rate_limits.headers(quota)

        async def send_with_quota(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        if "\0" in scope["path"]:  # which no id has, and no database looks up
            await answer(request, *NO_PATH)(scope, receive, send_with_quota)
            return
        if quota.exceeded:
            message = (
                f"Over {quota.limit} requests a minute that {quota.policy}: wait {quota.wait_s} seconds."
            )
            response = answer(request, 429, "RATE_LIMITED", message)
            await response(scope, receive, send_with_quota)
            return
        await self._app(scope, _bounded(request), send_with_quota)

    def _admit(self, request: Request) -> tuple[Caller | None, Quota]:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        caller = None
        if scheme.lower() == "bearer":
            try:
                caller = self._application.accounts.authenticate(key.strip())
            except Unauthorized:
                caller = None
        address = request.client.host if request.client else ""
        policy = "read" if request.method in _READING else "create"
        return caller, self._application.rate_limits.take(caller.key_id if caller else address, policy)


def _bounded(request: Request) -> Receive:
    """``receive``, which fails with 413 where more than :data:`LARGEST_BODY` comes or is announced."""
    announced = request.headers.get("content-length", "0")
    received = LARGEST_BODY + 1 if announced.isdecimal() and int(announced) > LARGEST_BODY else 0

    async def receive() -> Message:
        nonlocal received
        if received <= LARGEST_BODY:
            message = await request.receive()
            received += len(message.get("body", b""))
        if received > LARGEST_BODY:
            raise HTTPException(413)
        return message

    return receive
