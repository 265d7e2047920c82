"""The door of ``/v1``: who calls, how often, with how large a body, and how many at once.

Most requests are polls of a split. They are answered at the door, together with those that come at the same time: what
the framework does for a request takes longer than a poll may.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from weakref import WeakValueDictionary

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stemsplitter.accounts.service import Caller
from stemsplitter.api.envelope import success_of_ours
from stemsplitter.api.errors import NO_PATH, TOO_LARGE, answer
from stemsplitter.api.middleware.batching import Batches
from stemsplitter.api.routes import splits
from stemsplitter.rate_limits.service import Quota, network
from stemsplitter.services import Services
from stemsplitter.splits.schemas import SplitView

LARGEST_BODY = 64 * 1024  # bytes of JSON
BODY_SECONDS = 15.0
# A request that creates may wait long for a song's site: it must not take all threads from the polls, nor one
# account all places from the others.
CREATING_AT_ONCE = 32
CREATING_OF_ONE_CALLER = 8
_READING = ("GET", "HEAD", "OPTIONS")
(_POLL,) = (
    route for route in splits.router.routes if getattr(route, "name", "") == splits.get_split.__name__
)
_POLLED = re.compile("/v1/audio/splits/([0-9A-Za-z_]{1,64})")


@dataclass(frozen=True, slots=True)
class Knock:
    """What is asked about a request: the key that it came with, or the address that it came from, and what it polls."""

    key: str
    address: str
    policy: str
    split_id: str


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who calls, the name that is counted under, what it has left, and the split, where it is a poll of one."""

    caller: Caller | None
    name: str
    quota: Quota
    split: SplitView | None


class Admission:
    """Checks the key once, counts the request, reads the body, and writes the quota into every answer.

    A request without a valid key is counted to its address, and goes on: its endpoint refuses it, or
    there is no such path.
    """

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services
        self._creating = asyncio.Semaphore(CREATING_AT_ONCE)
        self._creating_of: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._knocks = Batches(self._admit, "admission")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        admitted = await self._knocks.ask(_knock(request))
        request.state.caller, quota = admitted.caller, admitted.quota
        headers = self._services.rate_limits.headers(quota)

        async def send_with_quota(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        if "\0" in scope["path"]:  # which no id has, and no database looks up
            await answer(request, *NO_PATH)(scope, receive, send_with_quota)
        elif quota.exceeded:
            await answer(request, 429, "RATE_LIMITED", quota.message)(scope, receive, send_with_quota)
        elif admitted.split is not None:
            scope["route"], scope["path_params"] = _POLL, {"split_id": admitted.split.id}
            request.state.is_poll = True
            await success_of_ours(admitted.split)(scope, receive, send_with_quota)
        elif quota.policy.name == "read":
            await self._app(scope, receive, send_with_quota)
        else:
            await self._create(request, admitted.name, send_with_quota)

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

    def _admit(self, knocks: Sequence[Knock]) -> list[Admitted]:
        services = self._services
        with services.database.read() as session:
            callers = services.accounts.authenticate_all(session, [knock.key for knock in knocks])
            both = list(zip(callers, knocks, strict=True))
            names = [caller.account_id if caller else network(knock.address) for caller, knock in both]
            limits = services.rate_limits
            policies = [limits.read if knock.policy == "read" else limits.create for knock in knocks]
            quotas = limits.count_all(session, list(zip(names, policies, strict=True)))
            polled = [(caller.account_id if caller else "", knock.split_id) for caller, knock in both]
            splits = services.splits.get_all(session, {each for each in polled if all(each)})
        return list(map(Admitted, callers, names, quotas, map(splits.get, polled)))


def _knock(request: Request) -> Knock:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    polled = _POLLED.fullmatch(request.scope["path"]) if request.method == "GET" else None
    return Knock(
        key.strip() if scheme.lower() == "bearer" else "",
        request.client.host if request.client else "",
        "read" if request.method in _READING else "create",
        polled[1] if polled else "",
    )


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
