"""Error responses: every error of a service or of the framework, in the envelope of the contract."""

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
from stemsplitter.schemas import UNKNOWN_FIELD
from stemsplitter.service_errors import InsufficientCredits, RateLimited, ServiceError, Unauthorized
from stemsplitter.spelling import unknown
from stemsplitter.storage import FileMissing, StorageError

_UNKNOWN_TAG, _NO_TAG = "union_tag_invalid", "union_tag_not_found"  # types of errors of pydantic

_log = logging.getLogger(__name__)

NO_PATH = (404, "NOT_FOUND", "There is nothing at this path: see the API reference.")
MAX_BODY_BYTES = 64 * 1024
TOO_LARGE = (413, "PAYLOAD_TOO_LARGE", f"The body is over the limit of {MAX_BODY_BYTES:,} bytes: shorten it.")
UNAVAILABLE = (
    503,
    "UNAVAILABLE",
    "The file storage of the server is unavailable: send the request again later.",
)
NO_DATABASE = (
    503,
    "UNAVAILABLE",
    "The database of the server is unavailable: send the request again later.",
)
DATABASE_UNAVAILABLE = (OperationalError, InterfaceError, PoolTimeout)
UNSTORABLE = (422, "VALIDATION_ERROR", "A value of the request cannot be stored: remove NUL characters.")
UNSUPPORTED_TYPE = (415, "UNSUPPORTED_MEDIA_TYPE", "Send the body as application/json.")
# errors of the framework: status → status, code, message
_FRAMEWORK = {
    400: (422, "VALIDATION_ERROR", "The body cannot be read: send valid JSON in UTF-8."),
    404: NO_PATH,
    413: (413, "PAYLOAD_TOO_LARGE", "The body is too large for this path."),
    415: UNSUPPORTED_TYPE,
}


def install(app: FastAPI) -> None:
    """Add the exception handlers to ``app``."""
    app.add_exception_handler(ServiceError, service_error)
    app.add_exception_handler(AudioError, _bad_request)
    app.add_exception_handler(RequestError, _bad_request)
    app.add_exception_handler(StorageError, _no_file)
    app.add_exception_handler(DataError, _unstorable)
    for error in DATABASE_UNAVAILABLE:
        app.add_exception_handler(error, _no_database)
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
    """Return an error response: in the envelope, or as a page if the client is a browser that asks for one."""
    if error_page := getattr(request.app.state, "error_page", None):
        page: Response | None = error_page(request, status, message, dict(headers or {}))
        if page is not None:
            return page
    if translated := getattr(request.app.state, "error_message", None):
        message = translated(request, message)
    base_url = request.app.state.services.settings.base_url
    fields: dict[str, Any] = {**(extra or {})}
    if param:
        fields["param"] = param
    if details:
        fields["details"] = dict(details)
    fields |= {"requestId": request_id(request), "docUrl": f"{base_url}/docs#{code}"}
    return failure(status, code, message, fields, headers)


def unexpected(request: Request, error: Exception) -> Response:
    """Log an exception that has no handler, and return the response."""
    if isinstance(error, DATABASE_UNAVAILABLE):
        return _no_database(request, error)
    _log.error("request failed", exc_info=error)
    return server_error(request)


def server_error(request: Request) -> Response:
    """Return the response to an internal error, which gives the request id and no internals."""
    message = f"Internal error: report the request id {request_id(request)}."
    return answer(request, 500, "SERVER_ERROR", message)


def not_allowed(methods: str) -> str:
    """Return the message of an error 405, where the path allows ``methods``."""
    return f"Method not allowed. Allowed: {methods}."


def methods_of(request: Request) -> set[str]:
    """Return the methods of all routes of the request's path: the framework reports those of one route."""
    methods: set[str] = set()
    for route in request.app.state.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods
    return methods


def request_id(request: Request) -> str:
    """Return the id of the request, which its response and log lines have."""
    return str(getattr(request.state, "request_id", ""))


def service_error(request: Request, error: Exception) -> Response:
    """Return the response to a :class:`ServiceError`."""
    assert isinstance(error, ServiceError)
    extra, details = ({}, error.details)
    if isinstance(error, InsufficientCredits):
        extra, details = error.details, {}
    headers = {}
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    elif isinstance(error, RateLimited) or "retryAfter" in error.details:
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
        return answer(request, 404, "NOT_FOUND", "The file was deleted.")
    _log.error("file storage failed: %s", error, exc_info=error)
    return answer(request, *UNAVAILABLE, headers={"Retry-After": "10"})


def _no_database(request: Request, error: Exception) -> Response:
    _log.error("database failed: %s", _without_values(error))
    return answer(request, *NO_DATABASE, headers={"Retry-After": "10"})


def _unstorable(request: Request, error: Exception) -> Response:
    # PostgreSQL refuses some values that SQLite stores, such as text with a NUL
    _log.warning("the database refused a value: %s", _without_values(error))
    return answer(request, *UNSTORABLE)


def _without_values(error: Exception) -> object:
    """Return the error of the driver, which leaves out the values of the statement: they may be secret."""
    return getattr(error, "orig", None) or error


def _framework_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allowed = _allowed_methods(request) or (error.headers or {})["Allow"]
        return answer(request, 405, "METHOD_NOT_ALLOWED", not_allowed(allowed), headers={"Allow": allowed})
    if error.status_code not in _FRAMEWORK:
        _log.error("the framework raised status %s: %s", error.status_code, error.detail)
        return server_error(request)
    return answer(request, *_FRAMEWORK[error.status_code], headers=error.headers)


def _allowed_methods(request: Request) -> str:
    methods = methods_of(request)
    if "GET" in methods:
        methods.add("HEAD")
    return ", ".join(sorted(methods))


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = error.errors()
    if problems[0]["type"] == "json_invalid":
        return answer(request, 422, "VALIDATION_ERROR", "The body is not valid JSON.")
    if isinstance(error.body, bytes):  # not parsed, as the Content-Type is not JSON
        return answer(request, *UNSUPPORTED_TYPE)
    found = [(_param(_location(each), error.body), _message(each)) for each in problems]
    param, message = found[0]
    details = {"errors": [{"param": at, "message": text} for at, text in found]} if len(found) > 1 else None
    if param and problems[0]["type"] not in (UNKNOWN_FIELD, _UNKNOWN_TAG):
        message = f"{param}: {message}"
    return answer(request, 422, "VALIDATION_ERROR", message, param=param, details=details)


def _location(problem: Mapping[str, Any]) -> tuple[str | int, ...]:
    """Return the location of an error of pydantic, which for an unknown field or kind of object is that object's."""
    location: tuple[str | int, ...] = problem["loc"]
    if problem["type"] == UNKNOWN_FIELD:
        return (*location, problem["ctx"]["field"])
    if problem["type"] in (_UNKNOWN_TAG, _NO_TAG):
        return (*location, _discriminator(problem))
    return location


def _discriminator(problem: Mapping[str, Any]) -> str:
    return str(problem["ctx"]["discriminator"]).strip("'")


def _message(problem: Mapping[str, Any]) -> str:
    """Return the message of an error of pydantic; that of an unknown kind of object suggests the nearest."""
    if problem["type"] == _UNKNOWN_TAG:
        known = problem["ctx"]["expected_tags"].replace("'", "").split(", ")
        return unknown(_discriminator(problem), problem["ctx"]["tag"], known)
    return "Field required." if problem["type"] == _NO_TAG else _sentence(problem["msg"])


def _param(location: Sequence[str | int], body: Any) -> str:
    """Return ``input.url`` for a location of pydantic, which also names the branch of a union."""
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
    return text if text.endswith((".", "?")) else f"{text}."
