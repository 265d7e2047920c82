"""Cross-origin requests of browsers (https://fetch.spec.whatwg.org/#http-cors-protocol)."""

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

_FILES = "/files/"
_API = ("/v1/", "/uploads/")
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_SENT = (
    "Authorization",
    "Idempotency-Key",
    "X-Request-Id",
    "X-Upload-Token",
    "Upload-Offset",
    "Upload-Complete",
)
_READ = (
    "Idempotency-Replayed", "RateLimit", "RateLimit-Policy", "X-RateLimit-Limit", "X-RateLimit-Remaining",
    "X-RateLimit-Reset", "Retry-After", "X-Request-Id", "Content-Disposition", "Upload-Offset", "Upload-Length",
    "Upload-Complete", "Upload-Limit",
)  # fmt: skip
_FILE_READ = ("Accept-Ranges", "Content-Disposition", "Content-Length", "Content-Range", "ETag")


class Cors:
    """Allows ``origins`` to use the API and upload URLs, and every origin to use signed file URLs.

    Credentials are never allowed: keys, tokens and signatures authenticate requests, and cookies only the console's.
    """

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        self._app = app
        self._files = CORSMiddleware(app, ["*"], ("GET", "HEAD"), ("Range",), expose_headers=_FILE_READ)
        self._api = CORSMiddleware(app, origins, _METHODS, _SENT, expose_headers=_READ) if origins else app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        if path.startswith(_FILES):
            await self._files(scope, receive, send)
        elif path.startswith(_API):
            await self._api(scope, receive, send)
        else:
            await self._app(scope, receive, send)
