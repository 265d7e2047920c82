"""HEAD wherever GET is (RFC 9110 §9.3.2): the headers of GET, without its body."""

from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stemsplitter.api.errors import methods_of


class HeadersSent(OSError):
    """Ends a response whose headers were sent. An OSError, as servers raise for a client that has disconnected."""


class Head:
    """Answers HEAD on paths whose routes have GET only. A response that streams ends at its first block."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        methods = methods_of(Request(scope))
        if "HEAD" in methods or "GET" not in methods:
            await self._app(scope, receive, send)
            return

        async def send_headers(message: Message) -> None:
            scope["method"] = "HEAD"  # a server that knows it as GET expects the body
            if message["type"] == "http.response.start":
                await send(message)
            elif message["type"] == "http.response.body":
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                if message.get("more_body"):
                    raise HeadersSent

        scope["method"] = "GET"
        try:
            await self._app(scope, receive, send_headers)
        except (HeadersSent, ClientDisconnect):
            pass
        finally:
            scope["method"] = "HEAD"
