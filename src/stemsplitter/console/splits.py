"""The list of splits, and a split's page until its stems are there."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from stemsplitter.api.dependencies import ServicesDep
from stemsplitter.api.parameters import Cursor
from stemsplitter.api.routes.splits import SplitId
from stemsplitter.console.access import SignedInDep, see_other
from stemsplitter.console.player import player_page
from stemsplitter.console.rendering import page
from stemsplitter.splits.models import SUCCEEDED, UNFINISHED

router = APIRouter()

PAGE = 25
LOOK_SECONDS = 1.0
STREAM_SECONDS = 3600.0
_MOST_IDS = 100
_IDS = rf"^[0-9A-Za-z_]{{1,64}}(,[0-9A-Za-z_]{{1,64}}){{0,{_MOST_IDS - 1}}}$"

States = dict[str, tuple[str, int]]


@router.get("/splits")
def list_splits(
    request: Request,
    services: ServicesDep,
    signed_in: SignedInDep,
    cursor: Cursor = None,
) -> Response:
    """The account's splits, the newest first."""
    found, after = services.splits.page(signed_in.account.id, limit=PAGE, cursor=cursor, status=None)
    return page(request, "splits.html", splits=found, cursor=cursor, after=after)


@router.get("/splits/events")
def stream_states(
    request: Request,
    services: ServicesDep,
    signed_in: SignedInDep,
    ids: Annotated[str, Query(pattern=_IDS)],
) -> StreamingResponse:
    """Server-sent events ``state`` with ``{"id", "status", "progress"}`` of each of the splits, now and at each change,
    until all have ended: one connection for a whole page, as browsers keep few."""
    account_id, wanted = signed_in.account.id, ids.split(",")
    is_stopping = getattr(request.app.state, "is_stopping", lambda: False)
    events = _events(lambda: services.splits.states(account_id, wanted), is_stopping)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


@router.get("/splits/{split_id}")
def show_split(
    request: Request, services: ServicesDep, signed_in: SignedInDep, split_id: SplitId
) -> Response:
    """A split: how far it is, why it failed, or its player."""
    view = services.splits.get(signed_in.account.id, split_id)
    if view.status == SUCCEEDED:
        return player_page(request, view)
    return page(request, "split.html", split=view)


@router.post("/splits/{split_id}/cancel")
def cancel(services: ServicesDep, signed_in: SignedInDep, split_id: SplitId) -> Response:
    """End a split that waits or runs."""
    services.splits.cancel(signed_in.account.id, split_id)
    return see_other(f"/splits/{split_id}")


@router.post("/splits/{split_id}/retry")
def retry(services: ServicesDep, signed_in: SignedInDep, split_id: SplitId) -> Response:
    """Make a failed split's song a split again."""
    created = services.splits.retry(signed_in.account.id, split_id)
    return see_other(f"/splits/{created['id']}")


@router.post("/splits/{split_id}/delete")
def delete(services: ServicesDep, signed_in: SignedInDep, split_id: SplitId) -> Response:
    """Delete a split that has ended."""
    services.splits.delete(signed_in.account.id, split_id)
    return see_other("/splits")


async def _events(look: Callable[[], States], is_stopping: Callable[[], bool]) -> AsyncIterator[str]:
    told: States = {}
    end = time.monotonic() + STREAM_SECONDS
    while time.monotonic() < end and not is_stopping():
        states = await run_in_threadpool(look)
        news = {split_id: state for split_id, state in states.items() if told.get(split_id) != state}
        for split_id, (status, progress) in news.items():
            data = {"id": split_id, "status": status, "progress": progress}
            yield f"event: state\ndata: {json.dumps(data)}\n\n"
        if not any(status in UNFINISHED for status, _ in states.values()):
            yield "event: end\ndata:\n\n"
            return
        if not news:
            yield ":\n\n"  # a browser that is gone is noticed by writing to it
        told = states
        await asyncio.sleep(LOOK_SECONDS)
