"""Errors of the client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class StemSplitterError(Exception):
    """Base of all errors of the client.

    Attributes:
        message: one sentence that says what is wrong.
        status_code: HTTP status; 0 if there was no response.
        code: code of the API, such as ``NOT_FOUND``; of the client, ``CONFIG_ERROR``, ``CONNECTION_ERROR``,
            ``TIMEOUT``, ``DOWNLOAD_ERROR``, ``UPLOAD_ERROR`` or ``INVALID_SIGNATURE``; ``HTTP_ERROR`` for
            a response that is not of the API.
        details: the parsed response.
        request_id: id of the request in the server's log.
        doc_url: address of the documentation of the code.
        param: the part of the request that is wrong, such as ``input.url``.
        retry_after: seconds to wait, of :class:`RateLimited`.
        required_seconds, balance: credits that the song needs and the account has, of :class:`InsufficientCredits`.
        attempts: how often the request was sent.
    """

    default_code = "API_ERROR"

    def __init__(self, message: str, status_code: int = 0, code: str = "", details: Any = None) -> None:
        super().__init__(message)
        self.message, self.status_code, self.details = message, status_code, details
        self.code = code or self.default_code
        found = details.get("error") if isinstance(details, Mapping) else None
        error: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
        self.request_id: str | None = error.get("requestId")
        self.doc_url: str | None = error.get("docUrl")
        self.param: str | None = error.get("param")
        self.required_seconds: int | None = error.get("requiredSeconds")
        self.balance: int | None = error.get("balance")
        self.retry_after: float | None = None
        self.attempts = 1

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class ConfigError(StemSplitterError):
    """An option of the client is missing or invalid."""

    default_code = "CONFIG_ERROR"


class ConnectionFailed(StemSplitterError):
    """The server could not be reached, or the connection ended early, in all attempts."""

    default_code = "CONNECTION_ERROR"


class WaitTimeout(StemSplitterError):
    """The job did not end in time. It goes on: wait again, or cancel it."""

    default_code = "TIMEOUT"


class DownloadError(StemSplitterError):
    """A file could not be downloaded completely. No file was written."""

    default_code = "DOWNLOAD_ERROR"


class InvalidSignature(StemSplitterError):
    """A webhook is not genuine, or is too old."""

    default_code = "INVALID_SIGNATURE"


class AuthenticationError(StemSplitterError):
    """The API key is missing or invalid (401)."""


class InsufficientCredits(StemSplitterError):
    """The balance does not cover the song (402)."""


class NotFound(StemSplitterError):
    """The resource does not exist (404)."""


class Conflict(StemSplitterError):
    """The state does not allow the request (409)."""


class ValidationError(StemSplitterError):
    """The request or the song is invalid (400, 410, 413, 415, 422)."""


class RateLimited(StemSplitterError):
    """Too many requests (429), also after the retries."""


class ServerError(StemSplitterError):
    """The server failed (5xx), also after the retries."""


_CLASSES: dict[int, type[StemSplitterError]] = {
    401: AuthenticationError,
    402: InsufficientCredits,
    404: NotFound,
    409: Conflict,
    429: RateLimited,
    **dict.fromkeys((400, 410, 413, 415, 422), ValidationError),
}


def error_of(status: int, body: Any, retry_after: float | None) -> StemSplitterError:
    """Return the error of a response: in the envelope, flat as of upload URLs, or of a proxy."""
    error = body.get("error") if isinstance(body, Mapping) else None
    message, code = f"The request failed with status {status}.", "HTTP_ERROR"
    if isinstance(error, Mapping):
        message, code = str(error.get("message") or message), str(error.get("code") or code)
    elif isinstance(error, str):
        message, code = str(body.get("message") or error), error
    kind = _CLASSES.get(status, ServerError if status >= 500 else StemSplitterError)
    made = kind(message, status, code, body)
    made.retry_after = retry_after
    return made
