"""The door of ``/v1``: who calls, how often, with how large a body, and how many at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stemsplitter.accounts.service import Caller
from stemsplitter.api.errors import NO_PATH, TOO_LARGE, answer
from stemsplitter.api.rate_limits import Quota
from stemsplitter.application import Application
from stemsplitter.service_errors import Unauthorized

LARGEST_BODY = 64 * 1024  # bytes of JSON
BODY_SECONDS = 15.0
# A request that creates may wait long for a song's site: it must not take all threads from the polls, nor one
# account all places from the others.
CREATING_AT_ONCE = 32
CREATING_OF_ONE_CALLER = 8
_READING = ("GET", "HEAD", "OPTIONS")


class Admission:
    """Checks the key once, counts the request, reads the body, and writes the quota into every answer.

    A request without a valid key is counted to its address, and goes on: its endpoint refuses it, or
    there is no such path.
    """

    def __init__(self, app: ASGIApp, application: Application) -> None:
        self._app = app
        self._application = application
        self._creating = asyncio.Semaphore(CREATING_AT_ONCE)
        self._creating_of: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        caller, name, quota = await run_in_threadpool(self._admit, request)
        request.state.caller = caller
        headers = self._application.rate_limits.headers(quota)

        async def send_with_quota(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        if "\0" in scope["path"]:  # which no id has, and no database looks up
            await answer(request, *NO_PATH)(scope, receive, send_with_quota)
        elif quota.exceeded:
            message = (
                f"Over {quota.limit} requests a minute that {quota.policy}: wait {quota.wait_s} seconds."
            )
            await answer(request, 429, "RATE_LIMITED", message)(scope, receive, send_with_quota)
        elif quota.policy == "read":
            await self._app(scope, receive, send_with_quota)
        else:
            await self._create(request, name, send_with_quota)

    async def _create(self, request: Request, name: str, send: Send) -> None:
        """Read the whole body, wait for a place, and go on."""
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _read(request)
        except TimeoutError:
            message = f"The body did not arrive within {BODY_SECONDS:.0f} seconds: send it again."
            await answer(request, 422, "VALIDATION_ERROR", message)(request.scope, request.receive, send)
            return
        except ClientDisconnect:
            return
        if body is None:
            await answer(request, *TOO_LARGE)(request.scope, request.receive, send)
            return
        async with self._place(name):
            await self._app(request.scope, _again(body, request.receive), send)

    @asynccontextmanager
    async def _place(self, name: str) -> AsyncIterator[None]:
        own = self._creating_of.setdefault(name, asyncio.Semaphore(CREATING_OF_ONE_CALLER))
        async with own, self._creating:
            yield

    def _admit(self, request: Request) -> tuple[Caller | None, str, Quota]:
        """Who calls, the name that is counted under, and what it has left."""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        caller = None
        if scheme.lower() == "bearer":
            try:
                caller = self._application.accounts.authenticate(key.strip())
            except Unauthorized:
                caller = None
        address = request.client.host if request.client else ""
        name = caller.key_id if caller else address
        policy = "read" if request.method in _READING else "create"
        return caller, name, self._application.rate_limits.take(name, policy)


async def _read(request: Request) -> bytes | None:
    """The body; None where more than :data:`LARGEST_BODY` comes or is announced."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > LARGEST_BODY:
        return None
    body = bytearray()
    async for block in request.stream():
        body += block
        if len(body) > LARGEST_BODY:
            return None
    return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """``receive`` as if nothing had been read yet."""
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again
