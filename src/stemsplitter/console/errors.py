"""Failures as pages, for who is looking at pages."""

from fastapi import FastAPI, Request
from starlette.responses import Response

from stemsplitter.api.errors import request_id
from stemsplitter.console.rendering import page

_TITLES = {
    401: "Sign in first",
    403: "Not taken",
    404: "There is nothing here",
    409: "Not now",
    413: "Too large",
    422: "This cannot be done",
    429: "Too fast",
    500: "Something went wrong",
    503: "Not just now",
}


def install(app: FastAPI) -> None:
    """Have every failure of ``app`` shown as a page where a page was asked for."""
    app.state.error_page = _error_page


def wants_page(request: Request) -> bool:
    """Whether the answer is to be looked at by a person. The API's answers never are."""
    if request.url.path.startswith("/v1/"):
        return False
    return "text/html" in request.headers.get("accept", "") or "hx-request" in request.headers


def _error_page(request: Request, status: int, message: str, headers: dict[str, str]) -> Response | None:
    if not wants_page(request):
        return None
    title = _TITLES.get(status, "This did not work")
    if status == 404 and message.startswith("There is nothing at this path"):
        message = "The address may be mistyped, or what was there is gone."
    return page(
        request,
        "error.html",
        status=status,
        headers=headers,
        title=title,
        message=message,
        request_id=request_id(request) if status == 500 else "",
    )
