"""What can be wrong with a request to an upload URL. Each has its own code, and may be sent again where it says so."""

from stemsplitter.service_errors import ServiceError


class UploadError(ServiceError):
    """Base of the failures of an upload URL."""


class TokenInvalid(UploadError):
    """There is no such upload, or its token is another."""

    code = "UPLOAD_TOKEN_INVALID"
    status = 401


class Expired(UploadError):
    """The time in which the upload had to begin is over."""

    code = "UPLOAD_EXPIRED"
    status = 410


class Used(UploadError):
    """The file was received already."""

    code = "UPLOAD_USED"
    status = 409


class InProgress(UploadError):
    """Another request is sending the file."""

    code = "UPLOAD_IN_PROGRESS"
    status = 409


class LengthMismatch(UploadError):
    """More or fewer bytes than were reserved."""

    code = "UPLOAD_LENGTH_MISMATCH"
    status = 422


class TypeMismatch(UploadError):
    """Another Content-Type than was reserved, or a content that is no audio or video."""

    code = "UPLOAD_TYPE_MISMATCH"
    status = 415


class Incomplete(UploadError):
    """The bytes stopped coming."""

    code = "UPLOAD_INCOMPLETE"
    status = 400


class OffsetMismatch(UploadError):
    """A chunk begins elsewhere than those before it end, which is at ``offset``."""

    code = "UPLOAD_OFFSET_MISMATCH"
    status = 409

    def __init__(self, sent: int, offset: int) -> None:
        super().__init__(
            f"This chunk begins at {sent} and {offset} bytes of the file are here: go on from {offset}."
        )
        self.offset = offset


class HeadersInvalid(UploadError):
    """A chunk's headers do not say where it belongs."""

    code = "UPLOAD_HEADERS_INVALID"
    status = 400
