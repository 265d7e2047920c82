"""Uploads over HTTP: reserving under ``/v1``, and the upload URL, whose errors are flat."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Depends, Header, Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from stemsplitter.api.dependencies import ApplicationDep, CallerDep
from stemsplitter.api.envelope import Envelope, JsonResponse, success
from stemsplitter.api.idempotency import Once
from stemsplitter.idempotency.service import Record
from stemsplitter.service_errors import ServiceError
from stemsplitter.storage import StorageError
from stemsplitter.uploads.errors import Incomplete
from stemsplitter.uploads.receiving import Incoming
from stemsplitter.uploads.schemas import UploadedFile, UploadFailure, UploadRequest, UploadReservation

_log = logging.getLogger(__name__)
router = APIRouter(tags=["Uploads"])

IDLE_SECONDS = 30.0
DRAIN_SECONDS, DRAIN_BYTES = 5.0, 64 << 20
_BODY = {
    "requestBody": {"required": True, "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}
}
_EXAMPLE = {
    "url": "https://stems.example.com/uploads/upl_0Yx3kQpAb2Jd7MfTn5Rv8W",
    "key": "uploads/upl_0Yx3kQpAb2Jd7MfTn5Rv8W/1.mp3",
}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {"example": {"success": True, "data": _EXAMPLE}}}},
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


@router.post("/v1/audio/uploads", response_model=Envelope[UploadReservation], operation_id="createUpload")
def create_upload(
    body: UploadRequest, application: ApplicationDep, caller: CallerDep, once: Annotated[Once, Depends()]
) -> JsonResponse:
    """Reserve an upload. Then send the file's bytes to `uploadUrl`, with `uploadHeaders` and its Content-Type; or as
    `directUpload` says, where there is one."""

    def create(record: Record) -> Mapping[str, Any]:
        uploads = application.uploads
        with application.database.write() as session:
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

    return once.answer(body, create)


@router.put(
    "/uploads/{upload_id}",
    response_model=Envelope[UploadedFile],
    responses=_ANSWERS,
    openapi_extra=_BODY,
    operation_id="putFile",
)
@router.post(
    "/uploads/{upload_id}",
    response_model=Envelope[UploadedFile],
    responses=_ANSWERS,
    openapi_extra=_BODY,
    operation_id="sendFile",
)
async def receive_file(
    upload_id: str,
    request: Request,
    application: ApplicationDep,
    x_upload_token: Annotated[str, Header(description="From `uploadHeaders`.")] = "",
) -> JsonResponse:
    """Send the file: its bytes as the body, exactly as many as were reserved. Works once."""
    length = request.headers.get("content-length", "")
    try:
        incoming = await run_in_threadpool(
            application.uploads.begin,
            upload_id,
            x_upload_token,
            request.headers.get("content-type"),
            int(length) if length.isdecimal() else None,
        )
        await _receive(request, incoming, application.settings.upload_seconds)
    except ServiceError as error:
        if not isinstance(error, Incomplete):
            await _drain(request)
        return _failure(error.status, error.code, str(error))
    except StorageError:
        _log.exception("the store did not take upload %s", upload_id)
        return _failure(
            503,
            "UNAVAILABLE",
            "The store of files does not answer: send the file again to the same URL in a while.",
        )
    except Exception:
        _log.exception("upload %s failed", upload_id)
        return _failure(
            500, "SERVER_ERROR", "Something went wrong here: send the file again to the same URL."
        )
    return success(UploadedFile(url=application.uploads.url(upload_id), key=incoming.key))


async def _receive(request: Request, incoming: Incoming, within_s: float) -> None:
    """All bytes of the request; whatever ends it before, the upload is free for another try."""
    body = request.stream()
    deadline = anyio.current_time() + within_s
    try:
        while True:
            with anyio.fail_after(min(IDLE_SECONDS, deadline - anyio.current_time())):
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
                f"Only {incoming.received} bytes came before the connection ended or fell silent: send the "
                "file again to the same URL."
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


def _failure(status: int, code: str, message: str) -> JsonResponse:
    return JsonResponse({"success": False, "error": code, "message": message}, status_code=status)
