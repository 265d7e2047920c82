"""Error pages."""

from fastapi import FastAPI, Request
from starlette.responses import Response

from stemsplitter.api.errors import NO_PATH, request_id
from stemsplitter.console.rendering import page

_TITLES = {
    401: "Sign in required",
    403: "Forbidden",
    404: "Page not found",
    409: "Conflict",
    413: "Request too large",
    422: "Invalid request",
    429: "Too many requests",
    500: "Something went wrong",
    503: "Temporarily unavailable",
}


def install(app: FastAPI) -> None:
    """Answer errors of ``app`` with a page where the request accepts HTML."""
    app.state.error_page = _error_page


def wants_page(request: Request) -> bool:
    """Return True if the request asks for a page. Requests to the API never do."""
    if request.url.path.startswith("/v1/"):
        return False
    return "text/html" in request.headers.get("accept", "") or "hx-request" in request.headers


def _error_page(request: Request, status: int, message: str, headers: dict[str, str]) -> Response | None:
    if not wants_page(request):
        return None
    title = _TITLES.get(status, "Error")
    if message == NO_PATH[2]:
        message = "Check the address, or start from the home page."
    return page(
        request,
        "error.html",
        status=status,
        headers=headers,
        title=title,
        message=message,
        request_id=request_id(request) if status == 500 else "",
    )
