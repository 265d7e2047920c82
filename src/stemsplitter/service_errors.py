"""Errors for clients of the service, each with the code and HTTP status of the contract."""

from collections.abc import Mapping
from typing import Any, ClassVar

from stemsplitter import refusals
from stemsplitter.errors import StemSplitterError
from stemsplitter.sizes import size


class ServiceError(StemSplitterError):
    """Base of all errors that are shown to a client.

    Args:
        message: one sentence that says what is wrong and what to do.
        param: the part of the request that is wrong, such as ``input.url``.
        details: data for programs, with the names that it has in JSON.
    """

    code: ClassVar[str]
    status: ClassVar[int]

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.param = param
        self.details = dict(details or {})


class Unauthorized(ServiceError):
    """The API key is missing, malformed, unknown or revoked, or the account is disabled."""

    code = "UNAUTHORIZED"
    status = 401

    def __init__(self, message: str = "Missing or invalid API key") -> None:
        super().__init__(message)


class InsufficientCredits(ServiceError):
    """The balance does not cover the source. Both are in whole seconds."""

    code = "INSUFFICIENT_CREDITS"
    status = 402

    def __init__(self, required_seconds: int, balance: int) -> None:
        credits = "1 credit" if required_seconds == 1 else f"{required_seconds} credits"
        super().__init__(
            f"This needs {credits} and the balance is {balance}: add credits first.",
            details={"requiredSeconds": required_seconds, "balance": balance},
        )


class NotFound(ServiceError):
    """The resource does not exist, or belongs to another account."""

    code = "NOT_FOUND"
    status = 404


class Conflict(ServiceError):
    """A request with the same idempotency key is in progress, or the state does not allow the action."""

    code = "CONFLICT"
    status = 409


class ValidationFailed(ServiceError):
    """The request is invalid, or its source cannot be fetched or decoded, or is over a limit."""

    code = "VALIDATION_ERROR"
    status = 422


class InvalidCursor(ValidationFailed):
    """The cursor does not belong to the list."""

    def __init__(self) -> None:
        super().__init__(
            "The cursor does not belong to this list: start from the first page.", param="cursor"
        )


class LimitReached(ServiceError):
    """A limit refuses the request. Each error is counted as a refusal by ``limit``."""

    def __init__(self, message: str, limit: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message, details=details)
        refusals.count(limit)


class RateLimited(LimitReached):
    """The account or the client has sent, or has, as many of something as it may have."""

    code = "RATE_LIMITED"
    status = 429


class QuotaExceeded(LimitReached):
    """The files of the account would exceed its quota. All are in bytes."""

    code = "CONFLICT"
    status = 409

    def __init__(self, used: int, needed: int, limit: int) -> None:
        super().__init__(
            f"Your files use {size(used)} of {size(limit)} and this needs {size(needed)} more: delete splits that "
            "you no longer need, or wait until unused uploads, mixes and splits expire.",
            "bytes",
            {"usedBytes": used, "neededBytes": needed, "limitBytes": limit},
        )


class Busy(LimitReached):
    """The server has no capacity for the request at present."""

    code = "UNAVAILABLE"
    status = 503

    def __init__(self, message: str, limit: str, retry_after_s: int = 10) -> None:
        super().__init__(message, limit, {"retryAfter": retry_after_s})
