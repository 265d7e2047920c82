"""Request and response schemas of uploads."""

from typing import Literal

from pydantic import Field, field_validator
from pydantic.json_schema import SkipJsonSchema

from stemsplitter.schemas import CamelModel, Integer, RequestModel, Time


class UploadRequest(RequestModel):
    """A file to be uploaded."""

    filename: str = Field(min_length=1, max_length=255, examples=["song.mp3"])
    content_type: str = Field(
        min_length=1, max_length=200, description="A media type of audio or video.", examples=["audio/mpeg"]
    )
    content_length: Integer = Field(ge=1, lt=2**53, description="Exact size in bytes.", examples=[5242880])

    @field_validator("content_length", mode="before")
    @classmethod
    def _not_empty(cls, length: object) -> object:
        if length == 0 and not isinstance(length, bool):
            raise ValueError("The file is empty: choose another one, or export it again.")
        return length


class DirectUpload(CamelModel):
    """A direct upload to the storage: send the file with this method, URL and headers and the reserved Content-Length.
    Then create the split with this `fileUrl` and `storageKey`.

    Only then is the file checked: that it exists, has the reserved length and is audio or video.
    """

    method: Literal["PUT"] = "PUT"
    url: str = Field(description="Valid until `expiresAt`, only for the reserved type and length.")
    headers: dict[str, str]
    file_url: str
    storage_key: str


class UploadReservation(CamelModel):
    """URL to which the file is sent once, and all headers to send with it."""

    upload_id: str
    upload_url: str
    upload_headers: dict[str, str]
    expires_at: Time
    direct_upload: DirectUpload | SkipJsonSchema[None] = Field(
        None,
        exclude_if=lambda given: given is None,
        description="Alternative to `uploadUrl` if the server stores files in S3. Use one of them.",
    )


class ReceivedFile(CamelModel):
    """The received file; a split refers to it with `fileUrl` and `storageKey`."""

    url: str
    key: str


class UploadFailure(CamelModel):
    """The reason why a file was not received. Flat, unlike errors of `/v1`."""

    success: Literal[False] = False
    error: str = Field(description="Error code.", examples=["UPLOAD_EXPIRED"])
    message: str
