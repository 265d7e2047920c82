"""Request and response schemas of uploads."""

from typing import Literal

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from stemsplitter.schemas import CamelModel, RequestModel, Time


class UploadRequest(RequestModel):
    """A file that is to be sent."""

    filename: str = Field(min_length=1, max_length=255, examples=["song.mp3"])
    content_type: str = Field(
        min_length=1, max_length=200, description="A type of audio or video.", examples=["audio/mpeg"]
    )
    content_length: int = Field(ge=1, lt=2**53, description="Its size in bytes, exactly.", examples=[5242880])


class DirectUpload(CamelModel):
    """How to send the file past this server, into its store: with this method, to this URL, with these headers and the
    Content-Length that was reserved. Then create the split, with `fileUrl` and `storageKey` as they are here.

    Only then it is looked at whether the file is there, has that length and is audio or video.
    """

    method: Literal["PUT"] = "PUT"
    url: str = Field(description="Works until `expiresAt`, for this type and length alone.")
    headers: dict[str, str]
    file_url: str
    storage_key: str


class UploadReservation(CamelModel):
    """Where to send the file, once, and with which headers beside its Content-Type."""

    upload_id: str
    upload_url: str
    upload_headers: dict[str, str]
    expires_at: Time
    direct_upload: DirectUpload | SkipJsonSchema[None] = Field(
        None,
        exclude_if=lambda given: given is None,
        description="Another way to send the file, where the server keeps its files in S3. Take either.",
    )


class UploadedFile(CamelModel):
    """The file, as a split names it: `fileUrl` and `storageKey`."""

    url: str
    key: str


class UploadFailure(CamelModel):
    """Why a file was not received. Flat, unlike the errors of `/v1`."""

    success: Literal[False] = False
    error: str = Field(description="What to program against.", examples=["UPLOAD_EXPIRED"])
    message: str
