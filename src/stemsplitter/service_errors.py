"""The failures a client of the service can meet, each with the code and HTTP status of the contract."""

from collections.abc import Mapping
from typing import Any, ClassVar

from stemsplitter.errors import StemSplitterError


class ServiceError(StemSplitterError):
    """Base of every failure that a client caused or must know of.

    Args:
        message: one sentence that says what is wrong and what to do.
        code: in place of the class's own code, where a failure has a name of its own (``UPLOAD_EXPIRED``).
        param: the part of the request that is wrong, as ``input.url``.
        details: what a program needs to know, under the names it has in JSON.
    """

    code: str
    status: ClassVar[int]

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code
        self.param = param
        self.details = dict(details or {})


class Unauthorized(ServiceError):
    """The API key is missing, malformed, unknown or revoked, or the account is disabled."""

    code = "UNAUTHORIZED"
    status = 401

    def __init__(self, message: str = "Missing or invalid API key") -> None:
        super().__init__(message)


class InsufficientCredits(ServiceError):
    """The balance does not cover the source; both are whole seconds."""

    code = "INSUFFICIENT_CREDITS"
    status = 402

    def __init__(self, required_seconds: int, balance: int) -> None:
        super().__init__(
            f"This split needs {required_seconds} credits and the balance is {balance}: add credits first.",
            details={"requiredSeconds": required_seconds, "balance": balance},
        )
        self.required_seconds = required_seconds
        self.balance = balance


class NotFound(ServiceError):
    """There is no such thing, or not in this account."""

    code = "NOT_FOUND"
    status = 404


class Conflict(ServiceError):
    """An idempotency key in flight, or a state that does not allow the action."""

    code = "CONFLICT"
    status = 409


class ValidationFailed(ServiceError):
    """The request is malformed, or its source cannot be fetched, decoded, or is over a limit."""

    code = "VALIDATION_ERROR"
    status = 422


class InvalidCursor(ValidationFailed):
    """The cursor does not belong to the list."""

    def __init__(self) -> None:
        super().__init__(
            "The cursor does not belong to this list: start from the first page.", param="cursor"
        )


class RateLimited(ServiceError):
    """Over the key's requests a minute, or the account's splits that may wait."""

    code = "RATE_LIMITED"
    status = 429
