"""Errors of requests to an upload URL, each with its own code."""

from stemsplitter.service_errors import ServiceError


class UploadError(ServiceError):
    """Base class of errors of an upload URL."""


class TokenInvalid(UploadError):
    """The upload does not exist, or the token is wrong."""

    code = "UPLOAD_TOKEN_INVALID"
    status = 401


class Expired(UploadError):
    """The reservation has expired."""

    code = "UPLOAD_EXPIRED"
    status = 410


class Used(UploadError):
    """The file has already been received."""

    code = "UPLOAD_USED"
    status = 409


class InProgress(UploadError):
    """Another request is sending the file; its lease ends in ``retry_after_s`` seconds, unless more bytes arrive."""

    code = "UPLOAD_IN_PROGRESS"
    status = 409

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message, details={"retryAfter": retry_after_s})


class LengthMismatch(UploadError):
    """The length differs from the reservation."""

    code = "UPLOAD_LENGTH_MISMATCH"
    status = 422


class TypeMismatch(UploadError):
    """The Content-Type differs from the reservation, or the content is not audio or video."""

    code = "UPLOAD_TYPE_MISMATCH"
    status = 415


class Incomplete(UploadError):
    """The request ended before the whole file arrived."""

    code = "UPLOAD_INCOMPLETE"
    status = 400


class OffsetMismatch(UploadError):
    """A chunk does not start at ``offset``, the end of the previous chunks."""

    code = "UPLOAD_OFFSET_MISMATCH"
    status = 409

    def __init__(self, sent: int, offset: int) -> None:
        super().__init__(
            f"The chunk starts at {sent}, but {offset} bytes have been received: continue at {offset}."
        )
        self.offset = offset


class HeadersInvalid(UploadError):
    """The headers of a chunk do not give its offset."""

    code = "UPLOAD_HEADERS_INVALID"
    status = 400
