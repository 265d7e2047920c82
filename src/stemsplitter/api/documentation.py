"""Documentation of routes for the OpenAPI description: examples, links between operations, and errors."""

from collections.abc import Mapping
from typing import Any, Final

from stemsplitter.api.errors import TOO_LARGE, UNAVAILABLE, UNSUPPORTED_TYPE, not_allowed

JSON: Final = "application/json"

# code → status, condition, example of the error without its code
ERRORS: Final[dict[str, tuple[int, str, dict[str, Any]]]] = {
    "UNAUTHORIZED": (
        401,
        "The API key is missing, malformed, unknown or revoked.",
        {"message": "Missing or invalid API key"},
    ),
    "INSUFFICIENT_CREDITS": (
        402,
        "The balance does not cover the duration of the source.",
        {
            "message": "This needs 214 credits and the balance is 100: add credits first.",
            "requiredSeconds": 214,
            "balance": 100,
        },
    ),
    "NOT_FOUND": (
        404,
        "The resource does not exist in this account.",
        {"message": "There is no such split."},
    ),
    "METHOD_NOT_ALLOWED": (
        405,
        "The path does not support this method.",
        {"message": not_allowed("GET, HEAD")},
    ),
    "CONFLICT": (
        409,
        "A request with this idempotency key is in progress, the quota of stored bytes does not suffice, or the state "
        "does not allow the action.",
        {"message": "A request with this idempotency key is in progress: wait for it, then send it again."},
    ),
    "PAYLOAD_TOO_LARGE": (413, "The body is too large for the path.", {"message": TOO_LARGE[2]}),
    "UNSUPPORTED_MEDIA_TYPE": (
        415,
        "The path does not support the type of the body.",
        {"message": UNSUPPORTED_TYPE[2]},
    ),
    "VALIDATION_ERROR": (
        422,
        "The request is invalid, or its source cannot be fetched or decoded, or is over a limit.",
        {
            "message": "outputFormat: Input should be 'mp3', 'wav', 'flac', 'ogg' or 'm4a'.",
            "param": "outputFormat",
        },
    ),
    "RATE_LIMITED": (
        429,
        "The rate limit of the key or the limit of queued splits is exceeded.",
        {"message": "Rate limit exceeded: 60 create requests per minute. Retry in 30 s."},
    ),
    "SERVER_ERROR": (
        500,
        "Unexpected error.",
        {"message": "Internal error: report the request id req_7f3a09c4d1e85b26a0f9c3."},
    ),
    "UNAVAILABLE": (
        503,
        "The database or the file storage of the server is unavailable, its disk is almost full, or it is busy. Retry "
        "after the seconds in Retry-After.",
        {"message": UNAVAILABLE[2]},
    ),
}


def documented(
    *,
    request: Mapping[str, Any] | None = None,
    response: Mapping[str, Any] | None = None,
    errors: tuple[str, ...] = (),
    links: Mapping[str, Mapping[str, str]] | None = None,
) -> dict[str, Any]:
    """Return the ``openapi_extra`` of a route.

    Args:
        request: an example of the body.
        response: an example of the ``data`` of the response.
        errors: codes in addition to those that follow from the form of the route (a key, a body, an id in the path).
        links: operations that use values of the response, each with its parameters.
    """
    success: dict[str, Any] = {}
    references = {str(ERRORS[code][0]): error_reference(code) for code in errors}
    extra: dict[str, Any] = {"responses": {"200": success, **references}}
    if request is not None:
        extra["requestBody"] = {"content": {JSON: {"example": request}}}
    if response is not None:
        success["content"] = {JSON: {"example": {"success": True, "data": response}}}
    if links is not None:
        success["links"] = {name: {"operationId": name, "parameters": links[name]} for name in links}
    return extra


def error_reference(code: str) -> dict[str, str]:
    """Return a reference to the described error response of ``code``."""
    return {"$ref": f"#/components/responses/{code}"}
