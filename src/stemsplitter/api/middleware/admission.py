"""Admission middleware: API key, rate limit and body size for ``/v1``; a place for every request that creates.

Most requests are polls of a split. The middleware answers them itself, in the batch that checks their keys: a request
through the framework costs several times as much.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stemsplitter import refusals
from stemsplitter.accounts.service import Caller
from stemsplitter.api.dependencies import ID, client_network
from stemsplitter.api.documentation import JSON
from stemsplitter.api.envelope import success
from stemsplitter.api.errors import MAX_BODY_BYTES, NO_PATH, TOO_LARGE, answer, service_error
from stemsplitter.api.middleware.batching import Batcher
from stemsplitter.api.middleware.places import Places
from stemsplitter.api.routes import splits
from stemsplitter.rate_limits.service import Quota
from stemsplitter.service_errors import RateLimited
from stemsplitter.services import Services
from stemsplitter.splits.schemas import SplitView
from stemsplitter.uploads.service import media_type

BODY_SECONDS = 15.0
_UPLOADS = "/uploads/"
_READ_METHODS = ("GET", "HEAD", "OPTIONS")
(_POLL,) = (
    route
    for route in splits.router.routes
    if isinstance(route, APIRoute) and route.endpoint is splits.get_split
)
_POLL_PATH = re.compile(_POLL.path.replace("{split_id}", f"({ID[1:-1]})"))


@dataclass(frozen=True, slots=True)
class AdmissionRequest:
    """The facts of a request that admission depends on. ``split_id`` is set for the poll of a split, else empty."""

    key: str
    network: str
    policy: str
    split_id: str


@dataclass(frozen=True, slots=True)
class Admitted:
    """The caller, if its key is valid; the rate limit's name of it and its quota; and the split of a poll."""

    caller: Caller | None
    name: str
    quota: Quota
    split: SplitView | None


class Admission:
    """Checks the API key, counts the request, reads the body, and adds the quota to every response.

    A request without a valid key counts for its address. Its route refuses it, unless there is no such path.
    """

    def __init__(self, app: ASGIApp, services: Services, session_cookie: str, places: Places) -> None:
        self._app = app
        self._services = services
        self._session_cookie = session_cookie
        self._places = places
        self._admissions = Batcher(self._admit, "admission")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        if not scope["path"].startswith("/v1/"):
            await self._pass_page(request, send)
            return
        admitted = await self._admissions.query(_admission_request(request))
        request.state.caller, quota = admitted.caller, admitted.quota
        headers = self._services.rate_limits.headers(quota)

        async def send_with_quota(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        if "\0" in scope["path"]:  # a database cannot look it up
            await answer(request, *NO_PATH)(scope, receive, send_with_quota)
        elif quota.exceeded:
            refusals.count(quota.policy.name)
            await answer(request, 429, "RATE_LIMITED", quota.message)(scope, receive, send_with_quota)
        elif admitted.split is not None:
            scope["route"], scope["path_params"] = _POLL, {"split_id": admitted.split.id}
            request.state.is_poll = True
            await success(admitted.split)(scope, receive, send_with_quota)
        elif quota.policy.name == "read":
            await self._places.read(
                admitted.name, lambda send: self._app(scope, receive, send), send_with_quota
            )
        else:
            await self._create(request, admitted.name, send_with_quota)

    async def _create(self, request: Request, name: str, send: Send) -> None:
        """Read the whole body, wait for a place, and pass the request on."""
        try:
            self._places.check(name)  # before a connection waits for its body
        except RateLimited as error:
            await service_error(request, error)(request.scope, request.receive, send)
            return
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _read(request)
        except TimeoutError:
            message = f"The body did not arrive within {BODY_SECONDS:.0f} s: send the request again."
            await answer(request, 422, "VALIDATION_ERROR", message)(request.scope, request.receive, send)
            return
        except ClientDisconnect:
            return
        if body is None:
            await answer(request, *TOO_LARGE)(request.scope, request.receive, send)
            return
        scope = request.scope
        # curl's default; a key authenticates, not a cookie, so a form of another site cannot send such a request
        if media_type(request.headers.get("content-type", "")) in ("", "application/x-www-form-urlencoded"):
            others = [pair for pair in scope["headers"] if pair[0] != b"content-type"]
            scope["headers"] = [*others, (b"content-type", JSON.encode())]
        async with self._places.place(name, client_network(request)):
            await self._app(scope, _replayed(body, request.receive), send)

    async def _pass_page(self, request: Request, send: Send) -> None:
        """Pass a request to a page on; one that changes something counts and needs a place, as one to ``/v1`` does.

        Without a session it is counted by its page: a sign-in by address and account.

        The content of uploads is received without a thread, and needs none.
        """
        if request.method in _READ_METHODS or request.scope["path"].startswith(_UPLOADS):
            await self._app(request.scope, request.receive, send)
            return
        token = request.cookies.get(self._session_cookie)
        try:
            account = await run_in_threadpool(self._admit_page, token) if token else None
            name = account or client_network(request)
            self._places.check(name)
        except RateLimited as error:
            await service_error(request, error)(request.scope, request.receive, send)
            return
        async with self._places.place(name, client_network(request)):
            await self._app(request.scope, request.receive, send)

    def _admit_page(self, token: str) -> str | None:
        """Count a request of a session and return its account; None without a session. Raises RateLimited."""
        signed_in = self._services.sessions.find(token)
        if signed_in is None:
            return None
        limits = self._services.rate_limits
        limits.check(signed_in.account.id, limits.create)
        return signed_in.account.id

    def _admit(self, requests: Sequence[AdmissionRequest]) -> list[Admitted]:
        services = self._services
        with services.database.read() as session:
            callers = services.accounts.authenticate(session, [request.key for request in requests])
            both = list(zip(callers, requests, strict=True))
            names = [caller.owner_id if caller else request.network for caller, request in both]
            limits = services.rate_limits
            policies = [limits.read if request.policy == "read" else limits.create for request in requests]
            quotas = limits.count_all(session, list(zip(names, policies, strict=True)))
            polled = [(caller.account_id if caller else "", request.split_id) for caller, request in both]
            splits = services.splits.get_all(session, {each for each in polled if all(each)})
        services.accounts.record_use_later([caller for caller in callers if caller])
        return list(map(Admitted, callers, names, quotas, map(splits.get, polled)))


def _admission_request(request: Request) -> AdmissionRequest:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    polled = _POLL_PATH.fullmatch(request.scope["path"]) if request.method == "GET" else None
    return AdmissionRequest(
        key=key.strip() if scheme.lower() == "bearer" else "",
        network=client_network(request),
        policy="read" if request.method in _READ_METHODS else "create",
        split_id=polled[1] if polled else "",
    )


async def _read(request: Request) -> bytes | None:
    """Return the body, or None if it or its Content-Length is over :data:`MAX_BODY_BYTES`."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > MAX_BODY_BYTES:
        return None
    body = bytearray()
    async for block in request.stream():
        body += block
        if len(body) > MAX_BODY_BYTES:
            return None
    return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that yields the body that was read, then what ``receive`` yields."""
    sent = False

    async def receive_replayed() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_replayed
