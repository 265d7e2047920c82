"""Routes of splits."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import StreamingResponse

from stemsplitter.api.dependencies import ID, CallerDep, Cursor, ServicesDep
from stemsplitter.api.documentation import documented
from stemsplitter.api.envelope import Envelope, JsonResponse, success
from stemsplitter.api.event_stream import event_stream, job_events
from stemsplitter.api.idempotency import IdempotencyDep
from stemsplitter.jobs.schemas import Status
from stemsplitter.splits.schemas import (
    CreatedSplit,
    CreateSplit,
    DeletedSplit,
    SplitPage,
    SplitView,
)

router = APIRouter(tags=["Splits"])

_ID = "split_0Yx3kQpAb2Jd7MfTn5Rv8W"
_STEMS = ("vocals", "drums", "bass", "guitar", "piano", "other")
_CREATED = "2026-05-03T10:20:30.000Z"
EXAMPLE: dict[str, Any] = {
    "id": _ID,
    "status": "succeeded",
    "stemModel": "6s",
    "filename": "song.mp3",
    "durationSeconds": 214,
    "creditsUsed": 214,
    "createdAt": _CREATED,
    "updatedAt": "2026-05-03T10:21:14.512Z",
    "progress": 100,
    "outputFormat": "mp3",
    "expiresAt": "2026-05-10T10:20:30.000Z",
    "stems": {name: f"https://stems.example.com/files/MTc3ODQw…/{name}.mp3" for name in _STEMS},
    "error": None,
    "model": {
        "name": "builtin_6s",
        "licence": "MIT",
        "vocalsFrom": {"name": "spleeter_2s", "licence": "MIT"},
    },
    "processing": {"device": "cpu", "seconds": 43.1, "realtimeFactor": 0.2},
    "metadata": {"album": "demo"},
    "levels": {name: {"loudness": -21.3, "truePeak": -1.52, "silent": False} for name in _STEMS},
}
FAILED_EXAMPLE = {name: value for name, value in EXAMPLE.items() if not isinstance(value, dict | None)} | {
    "status": "failed",
    "progress": 40,
    "creditsRefunded": 214,
    "error": {"code": "CANCELED", "message": "The split was canceled; its credits were given back."},
    "model": EXAMPLE["model"],
    "processing": None,
    "metadata": EXAMPLE["metadata"],
}
_REQUEST = {
    "input": {"type": "direct_url", "url": "https://example.com/song.mp3"},
    "stemModel": "6s",
    "outputFormat": "mp3",
    "instruments": ["vocals", "drums", "bass", "guitar"],
    "webhookUrl": "https://example.com/webhooks/stems",
    "metadata": {"album": "demo"},
}
_OF_SPLIT = {"split_id": "$response.body#/data/id"}

SplitId = Annotated[str, Path(pattern=ID)]


@router.post(
    "/v1/audio/splits",
    response_model=Envelope[CreatedSplit],
    operation_id="createSplit",
    openapi_extra=documented(
        request=_REQUEST,
        response={"id": _ID, "status": "queued", "creditsUsed": 214, "createdAt": _CREATED},
        errors=("INSUFFICIENT_CREDITS", "CONFLICT", "NOT_FOUND"),
        links={
            "getSplit": _OF_SPLIT,
            "streamSplitEvents": _OF_SPLIT,
            "cancelSplit": _OF_SPLIT,
            "getSplitArchive": _OF_SPLIT,
            "deleteSplit": _OF_SPLIT,
        },
    ),
)
def create_split(
    services: ServicesDep, caller: CallerDep, idempotency: IdempotencyDep, body: CreateSplit
) -> JsonResponse:
    """Create a split. The source is fetched and measured before the response, and its credits are reserved."""
    return idempotency.run(body, lambda record: services.splits.create(caller.account_id, body, record))


@router.get(
    "/v1/audio/splits",
    response_model=Envelope[SplitPage],
    operation_id="listSplits",
    openapi_extra=documented(response={"items": [EXAMPLE], "nextCursor": None}),
)
def list_splits(
    services: ServicesDep,
    caller: CallerDep,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Cursor = None,
    status: Status | None = None,
) -> JsonResponse:
    """List splits, newest first."""
    items, next_cursor = services.splits.page(caller.account_id, limit=limit, cursor=cursor, status=status)
    return success(SplitPage(items=list(items), next_cursor=next_cursor))


@router.get(
    "/v1/audio/splits/{split_id}",
    response_model=Envelope[SplitView],
    operation_id="getSplit",
    openapi_extra=documented(response=EXAMPLE),
)
def get_split(services: ServicesDep, caller: CallerDep, split_id: SplitId) -> JsonResponse:
    """Get a split, with links to its stems once it has succeeded."""
    # not reached by a poll of an existing split: the admission middleware responds, with the same data
    return success(services.splits.get(caller.account_id, split_id))


@router.post(
    "/v1/audio/splits/{split_id}/cancel",
    response_model=Envelope[SplitView],
    operation_id="cancelSplit",
    openapi_extra=documented(response=FAILED_EXAMPLE, errors=("CONFLICT",)),
)
def cancel_split(services: ServicesDep, caller: CallerDep, split_id: SplitId) -> JsonResponse:
    """Cancel a queued or running split. It fails with `CANCELED`, and its credits are refunded."""
    return success(services.splits.cancel(caller.account_id, split_id))


@router.delete(
    "/v1/audio/splits/{split_id}",
    response_model=Envelope[DeletedSplit],
    operation_id="deleteSplit",
    openapi_extra=documented(response={"id": _ID, "deleted": True}, errors=("CONFLICT",)),
)
def delete_split(services: ServicesDep, caller: CallerDep, split_id: SplitId) -> JsonResponse:
    """Delete an ended split with its source and its stems."""
    services.splits.delete(caller.account_id, split_id)
    return success(DeletedSplit(id=split_id))


@router.get(
    "/v1/audio/splits/{split_id}/events",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {"text/event-stream": {}},
            "description": "Server-sent events.",
        }
    },
    operation_id="streamSplitEvents",
)
def stream_events(
    request: Request, services: ServicesDep, caller: CallerDep, split_id: SplitId
) -> StreamingResponse:
    """Stream server-sent events: `split`, with the split as its data, at first and when status or progress change,
    until the split has ended. Reconnect if the stream ends before."""
    account_id = caller.account_id
    view = services.splits.get(account_id, split_id)
    return event_stream(request, account_id, job_events(request.app.state.poller, account_id, "split", view))
