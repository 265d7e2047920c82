"""Splits over HTTP."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from stemsplitter.api.dependencies import CallerDep, ServicesDep
from stemsplitter.api.envelope import Envelope, JsonResponse, success
from stemsplitter.api.idempotency import Once
from stemsplitter.api.parameters import ID, Cursor
from stemsplitter.service_errors import NotFound
from stemsplitter.splits.archive import stream_zip
from stemsplitter.splits.models import UNFINISHED
from stemsplitter.splits.schemas import (
    CreatedSplit,
    CreateSplit,
    DeletedSplit,
    SplitPage,
    SplitView,
    Status,
)
from stemsplitter.storage.names import content_disposition

router = APIRouter(tags=["Splits"])

LOOK_SECONDS = 1.0
# proxies close what is silent for a minute; a client that is gone is noticed by writing to it
COMMENT_SECONDS = 15.0
EVENTS_SECONDS = 3600.0

SplitId = Annotated[str, Path(pattern=ID)]


@router.post("/v1/audio/splits", response_model=Envelope[CreatedSplit], operation_id="createSplit")
def create_split(
    services: ServicesDep, caller: CallerDep, once: Annotated[Once, Depends()], body: CreateSplit
) -> JsonResponse:
    """Take a song apart. The song is fetched and measured before the answer, and its credits are reserved."""
    return once.answer(body, lambda record: services.splits.create(caller.account_id, body, record))


@router.get("/v1/audio/splits", response_model=Envelope[SplitPage], operation_id="listSplits")
def list_splits(
    services: ServicesDep,
    caller: CallerDep,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Cursor = None,
    status: Status | None = None,
) -> JsonResponse:
    """List splits, the newest first."""
    items, next_cursor = services.splits.page(caller.account_id, limit=limit, cursor=cursor, status=status)
    return success(SplitPage(items=list(items), next_cursor=next_cursor))


@router.get("/v1/audio/splits/{split_id}", response_model=Envelope[SplitView], operation_id="getSplit")
def get_split(services: ServicesDep, caller: CallerDep, split_id: SplitId) -> JsonResponse:
    """Show a split, with links to its stems once it has succeeded."""
    return success(services.splits.get(caller.account_id, split_id))


@router.post(
    "/v1/audio/splits/{split_id}/cancel", response_model=Envelope[SplitView], operation_id="cancelSplit"
)
def cancel_split(services: ServicesDep, caller: CallerDep, split_id: SplitId) -> JsonResponse:
    """End a split that waits or runs. It fails with `CANCELED`, and its credits are given back."""
    return success(services.splits.cancel(caller.account_id, split_id))


@router.delete(
    "/v1/audio/splits/{split_id}", response_model=Envelope[DeletedSplit], operation_id="deleteSplit"
)
def delete_split(services: ServicesDep, caller: CallerDep, split_id: SplitId) -> JsonResponse:
    """Delete a split that has ended: its source and its stems are gone."""
    services.splits.delete(caller.account_id, split_id)
    return success(DeletedSplit(id=split_id))


@router.get(
    "/v1/audio/splits/{split_id}/archive",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/zip": {}}, "description": "A zip."}},
    operation_id="getSplitArchive",
)
def get_archive(services: ServicesDep, caller: CallerDep, split_id: SplitId) -> StreamingResponse:
    """All stems of a split that has succeeded, in a zip."""
    files = services.splits.stems(caller.account_id, split_id)
    headers = {"Content-Disposition": content_disposition(f"{split_id}.zip")}
    blocks = stream_zip(services.storage, files)
    return StreamingResponse(blocks, media_type="application/zip", headers=headers)


@router.get(
    "/v1/audio/splits/{split_id}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "Server-sent events."}},
    operation_id="streamSplitEvents",
)
def stream_events(
    request: Request, services: ServicesDep, caller: CallerDep, split_id: SplitId
) -> StreamingResponse:
    """Server-sent events: `split`, with the split as its data, now and whenever status or progress change, until it has
    ended. A stream that ends before is to be opened again."""
    view = services.splits.get(caller.account_id, split_id)
    is_stopping = getattr(request.app.state, "is_stopping", lambda: False)
    events = _events(view, lambda: services.splits.get(caller.account_id, split_id), is_stopping)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


async def _events(
    view: SplitView, look: Callable[[], SplitView], is_stopping: Callable[[], bool]
) -> AsyncIterator[str]:
    yield _event(view)
    end = time.monotonic() + EVENTS_SECONDS
    spoken = time.monotonic()
    while view.status in UNFINISHED and time.monotonic() < end and not is_stopping():
        await asyncio.sleep(LOOK_SECONDS)
        try:
            seen = await run_in_threadpool(look)
        except NotFound:  # deleted meanwhile
            return
        if (seen.status, seen.progress) != (view.status, view.progress):
            view, spoken = seen, time.monotonic()
            yield _event(view)
        elif time.monotonic() - spoken > COMMENT_SECONDS:
            spoken = time.monotonic()
            yield ": still here\n\n"


def _event(view: SplitView) -> str:
    data = view.model_dump(mode="json", by_alias=True)
    return f"event: split\ndata: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n"
