"""Bodies of requests to the upload URL, and its flat error responses."""

import logging
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import suppress

import anyio
from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from stemsplitter.api.envelope import JsonResponse
from stemsplitter.api.event_stream import OpenStreams
from stemsplitter.service_errors import ServiceError
from stemsplitter.storage import StorageError
from stemsplitter.uploads.errors import Incomplete, OffsetMismatch
from stemsplitter.uploads.receiving import Receiving

IDLE_SECONDS = 30.0
DRAIN_SECONDS, DRAIN_BYTES = 5.0, 64 << 20
UPLOADS_PER_ACCOUNT = 16  # that one process receives at a time

_log = logging.getLogger(__name__)


async def flat_response(request: Request, upload_id: str, work: Awaitable[Response], retry: str) -> Response:
    """Return the result of ``work``, or a flat error.

    Args:
        retry: the instruction of the client after an error of the server or the connection.
    """
    try:
        return await work
    except ServiceError as error:
        if not isinstance(error, Incomplete):
            await _drain(request)
        headers = {"Upload-Offset": str(error.offset)} if isinstance(error, OffsetMismatch) else {}
        if "retryAfter" in error.details:
            headers["Retry-After"] = str(error.details["retryAfter"])
        return _failure(error.status, error.code, str(error), headers)
    except StorageError:
        _log.exception("file storage failed during upload %s", upload_id)
        return _failure(503, "UNAVAILABLE", f"The file storage is unavailable: {retry} later.")
    except Exception:
        _log.exception("upload %s failed", upload_id)
        return _failure(500, "SERVER_ERROR", f"Internal error: {retry}.")


async def receive(
    open_uploads: OpenStreams,
    body: AsyncIterator[bytes],
    incoming: Receiving,
    within_s: float,
    idle_s: float,
    retry: str,
) -> None:
    """Receive all bytes of ``body``; if that fails, release the upload for another attempt."""
    deadline = anyio.current_time() + within_s
    is_counted = False
    try:
        open_uploads.add(incoming.account_id)
        is_counted = True
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
                f"The connection ended or timed out after {incoming.received} bytes: {retry}."
            ) from error
        raise
    finally:
        if is_counted:
            open_uploads.remove(incoming.account_id)


async def _drain(request: Request) -> None:
    """Read on for a while: many clients read no response before they have sent the whole body."""
    seen = 0
    with suppress(TimeoutError, ClientDisconnect, RuntimeError):  # RuntimeError: the body has ended
        with anyio.fail_after(DRAIN_SECONDS):
            async for block in request.stream():
                seen += len(block)
                if seen > DRAIN_BYTES:
                    return


def _failure(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> JsonResponse:
    content = {"success": False, "error": code, "message": message}
    return JsonResponse(content, status_code=status, headers=headers)
