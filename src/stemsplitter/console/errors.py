"""Error pages."""

from fastapi import FastAPI, Request
from starlette.responses import Response

from stemsplitter.api.errors import NO_PATH, request_id
from stemsplitter.console.language import language_of
from stemsplitter.console.rendering import page
from stemsplitter.languages import catalog, marked, using
from stemsplitter.languages import gettext as _
from stemsplitter.languages.current import error_text

_TITLES = {
    401: marked("Sign in required"),
    403: marked("Forbidden"),
    404: marked("Page not found"),
    409: marked("Conflict"),
    413: marked("Request too large"),
    422: marked("Invalid request"),
    429: marked("Too many requests"),
    500: marked("Something went wrong"),
    503: marked("Temporarily unavailable"),
}
_ERROR = marked("Error")


def install(app: FastAPI) -> None:
    """Answer errors of ``app`` with a page where the request accepts HTML."""
    app.state.error_page = _error_page
    app.state.error_message = _message


def wants_page(request: Request) -> bool:
    """Return True if the request asks for a page. Requests to the API never do."""
    if request.url.path.startswith("/v1/"):
        return False
    return "text/html" in request.headers.get("accept", "") or "hx-request" in request.headers


def _error_page(request: Request, status: int, message: str, headers: dict[str, str]) -> Response | None:
    if not wants_page(request):
        return None
    with using(language_of(request)):
        title, text = _(_TITLES.get(status, _ERROR)), _text(message)
    return page(
        request,
        "error.html",
        status=status,
        headers=headers,
        title=title,
        message=text,
        request_id=request_id(request) if status == 500 else "",
    )


def _text(message: str) -> str:
    if message == NO_PATH[2]:
        return _("Check the address, or start from the home page.")
    return error_text(message)


def _message(request: Request, message: str) -> str:
    """Translate the message of an error for a script of a page. The messages of the API are English."""
    if request.url.path.startswith("/v1/"):
        return message
    return catalog(language_of(request)).error(message)
