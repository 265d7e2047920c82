"""Uploads over HTTP: reserving under ``/v1``, and the upload URL, whose errors are flat."""

import logging
import math
import re
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import suppress
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Header, Request
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from stemsplitter.api.dependencies import CallerDep, ServicesDep
from stemsplitter.api.documentation import documented
from stemsplitter.api.envelope import Envelope, JsonResponse, success
from stemsplitter.api.idempotency import IdempotencyDep
from stemsplitter.idempotency.service import Record
from stemsplitter.service_errors import ServiceError
from stemsplitter.storage import StorageError
from stemsplitter.uploads.chunks import SMALLEST
from stemsplitter.uploads.errors import HeadersInvalid, Incomplete, OffsetMismatch, TypeMismatch
from stemsplitter.uploads.receiving import Receiving
from stemsplitter.uploads.schemas import UploadedFile, UploadFailure, UploadRequest, UploadReservation
from stemsplitter.uploads.service import media_type

_log = logging.getLogger(__name__)
router = APIRouter(tags=["Uploads"])

UploadToken = Annotated[str, Header(description="From `uploadHeaders`.")]

IDLE_SECONDS = 30.0
DRAIN_SECONDS, DRAIN_BYTES = 5.0, 64 << 20

_ID = "upl_0Yx3kQpAb2Jd7MfTn5Rv8W"
_URL = f"https://stems.example.com/uploads/{_ID}"
_RESERVED = {
    "uploadId": _ID,
    "uploadUrl": _URL,
    "uploadHeaders": {"X-Upload-Token": "5r9vRZna0VbgxGggnqLzpkqWQ2Jd7MfT"},
    "expiresAt": "2026-05-03T11:20:30.000Z",
    "directUpload": {
        "method": "PUT",
        "url": f"https://stems.s3.eu-central-1.amazonaws.com/uploads/{_ID}/direct.mp3?X-Amz-Signature=…",
        "headers": {"Content-Type": "audio/mpeg"},
        "fileUrl": _URL,
        "storageKey": f"uploads/{_ID}/direct.mp3",
    },
}
_OF_UPLOAD = {
    "upload_id": "$response.body#/data/uploadId",
    "x-upload-token": "$response.body#/data/uploadHeaders/X-Upload-Token",
}
_SENT = documented(response={"url": _URL, "key": f"uploads/{_ID}/source"})
_BODY = {
    "requestBody": {"required": True, "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}
}
# what a chunk is sent as: draft-ietf-httpbis-resumable-upload
CHUNK_TYPE = "application/partial-upload"
_WHOLE_AGAIN = "send the file again to the same URL"
_CHUNK_AGAIN = "ask for the offset with HEAD, and go on from there"

_ANSWERS: dict[int | str, dict[str, Any]] = {
    400: {
        "model": UploadFailure,
        "description": "UPLOAD_INCOMPLETE: the bytes stopped coming. Send it again.",
    },
    401: {"model": UploadFailure, "description": "UPLOAD_TOKEN_INVALID: the token is not this upload's."},
    409: {
        "model": UploadFailure,
        "description": "UPLOAD_USED or UPLOAD_IN_PROGRESS: it was or is being received.",
    },
    410: {"model": UploadFailure, "description": "UPLOAD_EXPIRED: reserve another upload."},
    415: {"model": UploadFailure, "description": "UPLOAD_TYPE_MISMATCH: another type, or no audio or video."},
    422: {
        "model": UploadFailure,
        "description": "UPLOAD_LENGTH_MISMATCH: more or fewer bytes than reserved.",
    },
    500: {"model": UploadFailure, "description": "SERVER_ERROR: a fault of this server. Send it again."},
    503: {"model": UploadFailure, "description": "UNAVAILABLE: the store of files is down. Send it again."},
}


_OFFSET = {"description": "How many bytes are kept.", "schema": {"type": "integer"}, "example": 8388608}
_COMPLETE = {
    "description": "`?1` where the whole file is here, else `?0`.",
    "schema": {"type": "string", "enum": ["?0", "?1"]},
    "example": "?0",
}
_CHUNK = {
    "requestBody": {
        "required": True,
        "content": {CHUNK_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    },
    "parameters": [
        {
            "name": "Upload-Offset",
            "in": "header",
            "required": True,
            "description": "Where in the file the chunk begins: as many bytes as are kept.",
            "schema": {"type": "integer", "minimum": 0},
            "example": 8388608,
        },
        {
            "name": "Upload-Complete",
            "in": "header",
            "required": True,
            "description": "`?1` with the last chunk, else `?0`.",
            "schema": {"type": "string", "enum": ["?0", "?1"]},
            "example": "?0",
        },
    ],
}
_CHUNK_ANSWERS: dict[int | str, dict[str, Any]] = {
    **_ANSWERS,
    200: {"description": "The file is whole.", "headers": {"Upload-Complete": _COMPLETE}},
    204: {
        "description": "The chunk is kept: send the next.",
        "headers": {"Upload-Offset": _OFFSET, "Upload-Complete": _COMPLETE},
    },
    400: {
        "model": UploadFailure,
        "description": "UPLOAD_INCOMPLETE: the bytes stopped coming, and nothing of this chunk is kept; or "
        "UPLOAD_HEADERS_INVALID: they do not say where the chunk belongs.",
    },
    409: {
        "model": UploadFailure,
        "description": "UPLOAD_OFFSET_MISMATCH: go on from the `Upload-Offset` of this answer. UPLOAD_USED or "
        "UPLOAD_IN_PROGRESS: the file was, or something of it is being received.",
        "headers": {"Upload-Offset": _OFFSET},
    },
    422: {
        "model": UploadFailure,
        "description": "UPLOAD_LENGTH_MISMATCH: more bytes than reserved, fewer with the last, or too few in one.",
    },
}
_PROGRESS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "How far the upload is.",
        "headers": {
            "Upload-Offset": _OFFSET,
            "Upload-Length": {
                "description": "How many bytes were reserved.",
                "schema": {"type": "integer"},
                "example": 52428800,
            },
            "Upload-Complete": _COMPLETE,
            "Upload-Limit": {
                "description": "Bytes that a chunk has at least, but for the last, and seconds until none may begin.",
                "schema": {"type": "string"},
                "example": f"min-append-size={SMALLEST}, max-age=3541",
            },
        },
    },
    401: {"description": _ANSWERS[401]["description"]},
    410: {"description": _ANSWERS[410]["description"]},
    "default": {"description": "It cannot be told now."},
}


@router.post(
    "/v1/audio/uploads",
    response_model=Envelope[UploadReservation],
    operation_id="createUpload",
    openapi_extra=documented(
        request={"filename": "song.mp3", "contentType": "audio/mpeg", "contentLength": 5138201},
        response=_RESERVED,
        errors=("CONFLICT",),
        links={"sendFile": _OF_UPLOAD, "putFile": _OF_UPLOAD},
    ),
)
def create_upload(
    body: UploadRequest, services: ServicesDep, caller: CallerDep, idempotency: IdempotencyDep
) -> JsonResponse:
    """Reserve an upload. Then send the file's bytes to `uploadUrl`, with `uploadHeaders` and its Content-Type; or as
    `directUpload` says, where there is one."""

    def create(record: Record) -> Mapping[str, Any]:
        uploads = services.uploads
        with services.database.write() as session:
            upload, token = uploads.reserve(
                session, caller.account_id, body.filename, body.content_type, body.content_length
            )
            reservation = UploadReservation(
                upload_id=upload.id,
                upload_url=uploads.url(upload.id),
                upload_headers={"X-Upload-Token": token},
                expires_at=upload.expires_at,
                direct_upload=uploads.direct(upload),
            )
            data = reservation.model_dump(mode="json", by_alias=True)
            record(session, data)
        return data

    return idempotency.run(body, create)


@router.put(
    "/uploads/{upload_id}",
    response_model=Envelope[UploadedFile],
    responses=_ANSWERS,
    openapi_extra=_SENT | _BODY,
    operation_id="putFile",
)
@router.post(
    "/uploads/{upload_id}",
    response_model=Envelope[UploadedFile],
    responses=_ANSWERS,
    openapi_extra=_SENT | _BODY,
    operation_id="sendFile",
)
async def receive_file(
    upload_id: str,
    request: Request,
    services: ServicesDep,
    x_upload_token: UploadToken = "",
) -> Response:
    """Send the file: its bytes as the body, exactly as many as were reserved. Works once."""

    async def receive() -> Response:
        incoming = await run_in_threadpool(
            services.uploads.begin,
            upload_id,
            x_upload_token,
            request.headers.get("content-type"),
            _announced(request),
        )
        await _receive(
            request.stream(), incoming, services.settings.upload_seconds, IDLE_SECONDS, _WHOLE_AGAIN
        )
        return success(UploadedFile(url=services.uploads.url(upload_id), key=incoming.key))

    return await _answer(request, upload_id, receive(), _WHOLE_AGAIN)


@router.patch(
    "/uploads/{upload_id}",
    response_model=Envelope[UploadedFile],
    responses=_CHUNK_ANSWERS,
    openapi_extra=_SENT | _CHUNK,
    operation_id="sendChunk",
)
async def receive_chunk(
    upload_id: str,
    request: Request,
    services: ServicesDep,
    x_upload_token: UploadToken = "",
) -> Response:
    """Send the file in chunks, one after the other, each as large as you like from 64 KiB on: after a connection that
    broke, go on with the chunk that it broke in. A chunk is kept whole or not at all; all have to begin before
    `expiresAt`. The answer to the last one is the file. After the IETF's draft on resumable uploads
    (draft-ietf-httpbis-resumable-upload).
    """
    uploads = services.uploads

    async def receive() -> Response:
        progress = await run_in_threadpool(uploads.progress, upload_id, x_upload_token)
        offset, is_last = _place(request)
        size = _announced(request)
        is_empty = size == 0 or (size is None and "transfer-encoding" not in request.headers)
        # the answer to the last chunk may have been lost: the draft would refuse to give it again
        if progress.key and is_last and is_empty and offset == progress.length:
            return done(progress.key)
        chunk = await run_in_threadpool(uploads.begin_chunk, upload_id, x_upload_token, offset, is_last, size)
        within_s = services.settings.upload_seconds
        await _receive(request.stream(), chunk, within_s, IDLE_SECONDS, _CHUNK_AGAIN)
        if not is_last:
            return Response(
                status_code=204, headers={"Upload-Offset": str(chunk.end), "Upload-Complete": "?0"}
            )
        incoming, blocks = await run_in_threadpool(uploads.begin_joining, upload_id, x_upload_token)
        # the store has time limits of its own
        await _receive(iterate_in_threadpool(blocks), incoming, math.inf, math.inf, _CHUNK_AGAIN)
        return done(incoming.key)

    def done(key: str) -> Response:
        return success(UploadedFile(url=uploads.url(upload_id), key=key), {"Upload-Complete": "?1"})

    return await _answer(request, upload_id, receive(), _CHUNK_AGAIN)


@router.head(
    "/uploads/{upload_id}",
    response_class=Response,
    responses=_PROGRESS,
    operation_id="getUploadOffset",
)
async def tell_offset(
    upload_id: str,
    request: Request,
    services: ServicesDep,
    x_upload_token: UploadToken = "",
) -> Response:
    """Ask how many bytes of the file are kept, to go on from there. A chunk on its way may add to them."""

    async def tell() -> Response:
        progress = await run_in_threadpool(services.uploads.progress, upload_id, x_upload_token)
        headers = {
            "Upload-Offset": str(progress.kept),
            "Upload-Length": str(progress.length),
            "Upload-Complete": f"?{int(progress.is_complete)}",
            "Upload-Limit": f"min-append-size={SMALLEST}, max-age={progress.left_s}",
            "Cache-Control": "no-store",
        }
        return Response(headers=headers)

    return await _answer(request, upload_id, tell(), _CHUNK_AGAIN)


def _announced(request: Request) -> int | None:
    length = request.headers.get("content-length", "")
    return int(length) if length.isdecimal() else None


def _place(request: Request) -> tuple[int, bool]:
    """Where a chunk begins, and whether it is the last."""
    content_type = request.headers.get("content-type", "")
    if media_type(content_type) != CHUNK_TYPE:
        given = f"as {content_type}" if content_type else "without a type"
        raise TypeMismatch(
            f"This chunk came {given}: send it as {CHUNK_TYPE}, whatever the file's own type is."
        )
    offset, complete = (request.headers.get(f"upload-{name}", "") for name in ("offset", "complete"))
    # as long as an integer of Structured Fields is at most (RFC 9651 §3.3.1)
    if not re.fullmatch("[0-9]{1,15}", offset):
        raise HeadersInvalid(
            "Upload-Offset must say at which byte of the file the chunk begins, as Upload-Offset: 0."
        )
    if complete not in ("?0", "?1"):
        raise HeadersInvalid("Upload-Complete must be ?1 with the last chunk, and ?0 with every other.")
    return int(offset), complete == "?1"


async def _answer(request: Request, upload_id: str, work: Awaitable[Response], again: str) -> Response:
    """What comes of ``work``; ``again`` is what to do where it failed for no reason of the client's."""
    try:
        return await work
    except ServiceError as error:
        if not isinstance(error, Incomplete):
            await _drain(request)
        headers = {"Upload-Offset": str(error.offset)} if isinstance(error, OffsetMismatch) else None
        return _failure(error.status, error.code, str(error), headers)
    except StorageError:
        _log.exception("the store did not take upload %s", upload_id)
        return _failure(503, "UNAVAILABLE", f"The store of files does not answer: {again} in a while.")
    except Exception:
        _log.exception("upload %s failed", upload_id)
        return _failure(500, "SERVER_ERROR", f"Something went wrong here: {again}.")


async def _receive(
    body: AsyncIterator[bytes], incoming: Receiving, within_s: float, idle_s: float, again: str
) -> None:
    """All bytes of ``body``; whatever ends it before, the upload is free for another try."""
    deadline = anyio.current_time() + within_s
    try:
        while True:
            with anyio.fail_after(min(idle_s, deadline - anyio.current_time())):
                block = await anext(body, None)
            if block is None:
                break
            await run_in_threadpool(incoming.write, block)
        await run_in_threadpool(incoming.finish)
    except BaseException as error:
        with anyio.CancelScope(shield=True):
            await run_in_threadpool(incoming.abandon)
        if isinstance(error, TimeoutError | ClientDisconnect):
            raise Incomplete(
                f"Only {incoming.received} bytes came before the connection ended or fell silent: {again}."
            ) from error
        raise


async def _drain(request: Request) -> None:
    """Let the client send on for a while: many read no answer before they have sent all."""
    seen = 0
    with suppress(TimeoutError, ClientDisconnect, RuntimeError):  # RuntimeError: it has sent all
        with anyio.fail_after(DRAIN_SECONDS):
            async for block in request.stream():
                seen += len(block)
                if seen > DRAIN_BYTES:
                    return


def _failure(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> JsonResponse:
    content = {"success": False, "error": code, "message": message}
    return JsonResponse(content, status_code=status, headers=headers)
