"""Every failure, from a service or from the framework, as the contract's envelope."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from stemsplitter.api.envelope import failure
from stemsplitter.errors import AudioError, RequestError
from stemsplitter.service_errors import InsufficientCredits, RateLimited, ServiceError, Unauthorized
from stemsplitter.storage import FileMissing, StorageError

_log = logging.getLogger(__name__)

NO_PATH = (404, "NOT_FOUND", "There is nothing at this path: see the API's reference.")
TOO_LARGE = (413, "PAYLOAD_TOO_LARGE", "The body is larger than this path takes.")
UNAVAILABLE = (
    503,
    "UNAVAILABLE",
    "The server's store of files does not answer, so nothing was done: send the request again in a while.",
)
NO_DATABASE = (
    503,
    "UNAVAILABLE",
    "The server's database does not answer: send the request again in a while.",
)
DATABASE_AWAY = (OperationalError, InterfaceError, PoolTimeout)
UNSTORABLE = (422, "VALIDATION_ERROR", "Something in the request cannot be kept: leave NUL characters out.")
# what the framework answers by itself: status → code, message
_FRAMEWORK = {
    400: (422, "VALIDATION_ERROR", "The body cannot be read: send valid JSON in UTF-8."),
    404: NO_PATH,
    405: (405, "METHOD_NOT_ALLOWED", "This path does not take this method: see the header Allow."),
    413: TOO_LARGE,
    415: (415, "UNSUPPORTED_MEDIA_TYPE", "Send the body as application/json."),
}


def install(app: FastAPI) -> None:
    """Make ``app`` answer every exception in the envelope."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(AudioError, _bad_request)
    app.add_exception_handler(RequestError, _bad_request)
    app.add_exception_handler(StorageError, _no_file)
    app.add_exception_handler(DataError, _unstorable)
    for away in DATABASE_AWAY:
        app.add_exception_handler(away, _no_database)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _framework_error)


def answer(
    request: Request,
    status: int,
    code: str,
    message: str,
    *,
    param: str | None = None,
    details: Mapping[str, Any] | None = None,
    extra: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An error with the request's id: in the envelope, or as a page for who is looking at pages."""
    if error_page := getattr(request.app.state, "error_page", None):
        page: Response | None = error_page(request, status, message, dict(headers or {}))
        if page is not None:
            return page
    base_url = request.app.state.services.settings.base_url
    fields: dict[str, Any] = {**(extra or {})}
    if param:
        fields["param"] = param
    if details:
        fields["details"] = dict(details)
    fields |= {"requestId": request_id(request), "docUrl": f"{base_url}/docs#{code}"}
    return failure(status, code, message, fields, headers)


def fault(request: Request, error: Exception) -> Response:
    """The answer to what nobody else answers; it is logged."""
    if isinstance(error, DATABASE_AWAY):
        return _no_database(request, error)
    _log.error("request failed", exc_info=error)
    return server_error(request)


def server_error(request: Request) -> Response:
    """The answer to a fault of ours: an id to ask about, and no internals."""
    message = f"Something went wrong here: report the request id {request_id(request)}."
    return answer(request, 500, "SERVER_ERROR", message)


def request_id(request: Request) -> str:
    """The id that the request's answer and log lines carry."""
    return str(getattr(request.state, "request_id", ""))


def _service_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    extra, details = ({}, error.details)
    if isinstance(error, InsufficientCredits):
        extra, details = error.details, {}
    headers = {}
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    elif isinstance(error, RateLimited):
        headers["Retry-After"] = str(error.details.get("retryAfter", 60))
    return answer(
        request,
        error.status,
        error.code,
        str(error),
        param=error.param,
        details=details,
        extra=extra,
        headers=headers,
    )


def _bad_request(request: Request, error: Exception) -> Response:
    return answer(request, 422, "VALIDATION_ERROR", str(error))


def _no_file(request: Request, error: Exception) -> Response:
    if isinstance(error, FileMissing):
        return answer(request, 404, "NOT_FOUND", "The file is not here any more: it was deleted.")
    _log.error("the store of files failed: %s", error, exc_info=error)
    return answer(request, *UNAVAILABLE, headers={"Retry-After": "10"})


def _no_database(request: Request, error: Exception) -> Response:
    _log.error("the database failed: %s", _said(error))
    return answer(request, *NO_DATABASE, headers={"Retry-After": "10"})


def _unstorable(request: Request, error: Exception) -> Response:
    """PostgreSQL refuses what SQLite takes, as text with a NUL: what is refused came with the request."""
    _log.warning("the database refused a value: %s", _said(error))
    return answer(request, *UNSTORABLE)


def _said(error: Exception) -> object:
    """What the database said, without the values of the statement, which may be secret."""
    return getattr(error, "orig", None) or error


def _framework_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code not in _FRAMEWORK:
        _log.error("no envelope for status %s: %s", error.status_code, error.detail)
        return server_error(request)
    status, code, message = _FRAMEWORK[error.status_code]
    headers = dict(error.headers or {})
    if status == 405:
        headers["Allow"] = _allowed(request) or headers["Allow"]
    return answer(request, status, code, message, headers=headers)


def _allowed(request: Request) -> str:
    """All methods of the request's path: the framework tells those of one endpoint only."""
    methods: set[str] = set()
    for route in request.app.state.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods
    return ", ".join(sorted(methods))


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = error.errors()
    if problems[0]["type"] == "json_invalid":
        return answer(request, 422, "VALIDATION_ERROR", "The body is not valid JSON.")
    if isinstance(error.body, bytes):  # no JSON content type, so nobody parsed it
        return answer(request, *_FRAMEWORK[415])
    found = [(_param(each["loc"], error.body), _sentence(each["msg"])) for each in problems]
    param, message = found[0]
    details = {"errors": [{"param": at, "message": text} for at, text in found]} if len(found) > 1 else None
    if param:
        message = f"{param}: {message}"
    return answer(request, 422, "VALIDATION_ERROR", message, param=param, details=details)


def _param(location: Sequence[str | int], body: Any) -> str:
    """``input.url`` for the location that pydantic tells, which names the branch of a union as well."""
    if location[0] != "body":
        return str(location[-1])
    names, here = [], body
    for depth, name in enumerate(location[1:], start=2):
        inside = (isinstance(here, dict) and name in here) or (
            isinstance(here, list) and isinstance(name, int) and name < len(here)
        )
        if inside:
            here = here[name]
        elif depth < len(location):
            continue
        names.append(str(name))
    return ".".join(names)


def _sentence(message: str) -> str:
    text = message.removeprefix("Value error, ")
    return text if text.endswith(".") else f"{text}."
