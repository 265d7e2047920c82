"""Routes of the upload URL. Their errors are flat, not in the envelope."""

import logging
import math
import re
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.responses import Response

from stemsplitter.api import upload_body
from stemsplitter.api.dependencies import ServicesDep
from stemsplitter.api.documentation import documented
from stemsplitter.api.envelope import Envelope, success
from stemsplitter.uploads.chunks import MIN_CHUNK_BYTES
from stemsplitter.uploads.errors import HeadersInvalid, TypeMismatch
from stemsplitter.uploads.schemas import ReceivedFile, UploadFailure
from stemsplitter.uploads.service import media_type

_log = logging.getLogger(__name__)
router = APIRouter(tags=["Uploads"])

UploadToken = Annotated[str, Header(description="From `uploadHeaders`.")]

_ID = "upl_0Yx3kQpAb2Jd7MfTn5Rv8W"
_URL = f"https://stems.example.com/uploads/{_ID}"
_SENT = documented(response={"url": _URL, "key": f"uploads/{_ID}/source"})
_BINARY = {"schema": {"type": "string", "format": "binary"}}
# a header of uploadHeaders authorizes the requests
_PUBLIC: dict[str, Any] = {"security": []}
# generators of clients know no other type of binary bodies; the description names the real one
_BODY = {
    "requestBody": {
        "required": True,
        "description": "The file. Send the `Content-Type` of `uploadHeaders`, which is the reserved `contentType`.",
        "content": {"application/octet-stream": _BINARY},
    }
}
# media type of a chunk, of draft-ietf-httpbis-resumable-upload
CHUNK_TYPE = "application/partial-upload"
_RETRY_FILE = "send the file again to the same URL"
_RETRY_CHUNK = "get the offset with HEAD and continue from there"

_ANSWERS: dict[int | str, dict[str, Any]] = {
    400: {
        "model": UploadFailure,
        "description": "UPLOAD_INCOMPLETE: the connection ended early. Send the file again.",
    },
    401: {"model": UploadFailure, "description": "UPLOAD_TOKEN_INVALID: wrong token."},
    409: {
        "model": UploadFailure,
        "description": "UPLOAD_USED or UPLOAD_IN_PROGRESS: the file was received, or is being received.",
    },
    410: {"model": UploadFailure, "description": "UPLOAD_EXPIRED: reserve another upload."},
    415: {
        "model": UploadFailure,
        "description": "UPLOAD_TYPE_MISMATCH: another Content-Type, or not audio or video.",
    },
    422: {
        "model": UploadFailure,
        "description": "UPLOAD_LENGTH_MISMATCH: more or fewer bytes than reserved.",
    },
    500: {"model": UploadFailure, "description": "SERVER_ERROR: unexpected error. Send the file again."},
    503: {
        "model": UploadFailure,
        "description": "UNAVAILABLE: the file storage is unavailable. Send the file again.",
    },
}


_OFFSET = {
    "description": "Number of bytes received so far.",
    "schema": {"type": "integer"},
    "example": 8388608,
}
_COMPLETE = {
    "description": "`?1` if the whole file was received, else `?0`.",
    "schema": {"type": "string", "enum": ["?0", "?1"]},
    "example": "?0",
}
_CHUNK = {
    "requestBody": {
        "required": True,
        "content": {CHUNK_TYPE: _BINARY},
    },
    "parameters": [
        {
            "name": "Upload-Offset",
            "in": "header",
            "required": True,
            "description": "Position of the chunk in the file: the number of bytes received so far.",
            "schema": {"type": "integer", "minimum": 0},
            "example": 8388608,
        },
        {
            "name": "Upload-Complete",
            "in": "header",
            "required": True,
            "description": "`?1` for the last chunk, else `?0`.",
            "schema": {"type": "string", "enum": ["?0", "?1"]},
            "example": "?0",
        },
    ],
}
_CHUNK_ANSWERS: dict[int | str, dict[str, Any]] = {
    **_ANSWERS,
    200: {"description": "The whole file was received.", "headers": {"Upload-Complete": _COMPLETE}},
    204: {
        "description": "The chunk was received: send the next one.",
        "headers": {"Upload-Offset": _OFFSET, "Upload-Complete": _COMPLETE},
    },
    400: {
        "model": UploadFailure,
        "description": "UPLOAD_INCOMPLETE: the connection ended early; nothing of the chunk is kept. "
        "UPLOAD_HEADERS_INVALID: a header of the chunk is missing or malformed.",
    },
    409: {
        "model": UploadFailure,
        "description": "UPLOAD_OFFSET_MISMATCH: continue from the `Upload-Offset` of this response. UPLOAD_USED or "
        "UPLOAD_IN_PROGRESS: the file was received, or a part of it is being received.",
        "headers": {"Upload-Offset": _OFFSET},
    },
    422: {
        "model": UploadFailure,
        "description": "UPLOAD_LENGTH_MISMATCH: more bytes than reserved, fewer at the end, or a small chunk.",
    },
}
_PROGRESS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Progress of the upload.",
        "headers": {
            "Upload-Offset": _OFFSET,
            "Upload-Length": {
                "description": "Number of bytes reserved.",
                "schema": {"type": "integer"},
                "example": 52428800,
            },
            "Upload-Complete": _COMPLETE,
            "Upload-Limit": {
                "description": "Smallest chunk in bytes, except the last, and seconds in which chunks may start.",
                "schema": {"type": "string"},
                "example": f"min-append-size={MIN_CHUNK_BYTES}, max-age=3541",
            },
        },
    },
    401: {"description": _ANSWERS[401]["description"]},
    410: {"description": _ANSWERS[410]["description"]},
    "default": {"description": "The progress is unavailable."},
}


@router.put(
    "/uploads/{upload_id}",
    response_model=Envelope[ReceivedFile],
    responses=_ANSWERS,
    openapi_extra=_PUBLIC | _SENT | _BODY,
    operation_id="putFile",
)
@router.post(
    "/uploads/{upload_id}",
    response_model=Envelope[ReceivedFile],
    responses=_ANSWERS,
    openapi_extra=_PUBLIC | _SENT | _BODY,
    operation_id="sendFile",
)
async def receive_file(
    upload_id: str,
    request: Request,
    services: ServicesDep,
    x_upload_token: UploadToken = "",
) -> Response:
    """Send the file as the body, with exactly the reserved number of bytes. Works once."""

    async def receive() -> Response:
        incoming = await run_in_threadpool(
            services.uploads.begin,
            upload_id,
            x_upload_token,
            request.headers.get("content-type"),
            _content_length(request),
        )
        await upload_body.receive(
            request.app.state.open_uploads,
            request.stream(),
            incoming,
            services.settings.upload_seconds,
            upload_body.IDLE_SECONDS,
            _RETRY_FILE,
        )
        return success(ReceivedFile(url=services.uploads.url(upload_id), key=incoming.key))

    return await upload_body.flat_response(request, upload_id, receive(), _RETRY_FILE)


@router.patch(
    "/uploads/{upload_id}",
    response_model=Envelope[ReceivedFile],
    responses=_CHUNK_ANSWERS,
    openapi_extra=_PUBLIC | _SENT | _CHUNK,
    operation_id="sendChunk",
)
async def receive_chunk(
    upload_id: str,
    request: Request,
    services: ServicesDep,
    x_upload_token: UploadToken = "",
) -> Response:
    """Send the file in chunks, one after the other, each of 64 KiB or more: after a broken connection, continue with
    the interrupted chunk. A chunk is stored completely or not at all. All chunks must start before `expiresAt`. The
    response to the last chunk describes the file. Follows the IETF draft on resumable uploads
    (draft-ietf-httpbis-resumable-upload).
    """
    uploads, opened = services.uploads, request.app.state.open_uploads

    async def receive() -> Response:
        progress = await run_in_threadpool(uploads.progress, upload_id, x_upload_token)
        offset, is_last = _place(request)
        size = _content_length(request)
        is_empty = size == 0 or (size is None and "transfer-encoding" not in request.headers)
        # the response to the last chunk may have been lost; the draft would refuse to repeat it
        if progress.key and is_last and is_empty and offset == progress.length:
            return done(progress.key)
        chunk = await run_in_threadpool(uploads.begin_chunk, upload_id, x_upload_token, offset, is_last, size)
        within_s = services.settings.upload_seconds
        await upload_body.receive(
            opened, request.stream(), chunk, within_s, upload_body.IDLE_SECONDS, _RETRY_CHUNK
        )
        if not is_last:
            return Response(
                status_code=204, headers={"Upload-Offset": str(chunk.end), "Upload-Complete": "?0"}
            )
        incoming, blocks = await run_in_threadpool(uploads.begin_joining, upload_id, x_upload_token)
        # the storage has its own time limits
        blocks_read = iterate_in_threadpool(blocks)
        await upload_body.receive(opened, blocks_read, incoming, math.inf, math.inf, _RETRY_CHUNK)
        return done(incoming.key)

    def done(key: str) -> Response:
        return success(ReceivedFile(url=uploads.url(upload_id), key=key), {"Upload-Complete": "?1"})

    return await upload_body.flat_response(request, upload_id, receive(), _RETRY_CHUNK)


@router.head(
    "/uploads/{upload_id}",
    response_class=Response,
    responses=_PROGRESS,
    openapi_extra=_PUBLIC,
    operation_id="getUploadOffset",
)
async def get_offset(
    upload_id: str,
    request: Request,
    services: ServicesDep,
    x_upload_token: UploadToken = "",
) -> Response:
    """Get the number of bytes received so far, to continue from there. A chunk in progress may add to it."""

    async def progress() -> Response:
        found = await run_in_threadpool(services.uploads.progress, upload_id, x_upload_token)
        headers = {
            "Upload-Offset": str(found.kept),
            "Upload-Length": str(found.length),
            "Upload-Complete": f"?{int(found.is_complete)}",
            "Upload-Limit": f"min-append-size={MIN_CHUNK_BYTES}, max-age={found.left_s}",
            "Cache-Control": "no-store",
        }
        return Response(headers=headers)

    return await upload_body.flat_response(request, upload_id, progress(), _RETRY_CHUNK)


def _content_length(request: Request) -> int | None:
    length = request.headers.get("content-length", "")
    return int(length) if length.isdecimal() else None


def _place(request: Request) -> tuple[int, bool]:
    """Return the position of a chunk, and True if it is the last."""
    content_type = request.headers.get("content-type", "")
    if media_type(content_type) != CHUNK_TYPE:
        given = f"of type {content_type}" if content_type else "without a type"
        raise TypeMismatch(
            f"The chunk was sent {given}: send it as {CHUNK_TYPE}, regardless of the type of the file."
        )
    offset, complete = (request.headers.get(f"upload-{name}", "") for name in ("offset", "complete"))
    # the longest integer of Structured Fields (RFC 9651 §3.3.1)
    if not re.fullmatch("[0-9]{1,15}", offset):
        raise HeadersInvalid(
            "Upload-Offset must be the position of the chunk in the file, such as Upload-Offset: 0."
        )
    if complete not in ("?0", "?1"):
        raise HeadersInvalid("Upload-Complete must be ?1 for the last chunk and ?0 for every other one.")
    return int(offset), complete == "?1"
