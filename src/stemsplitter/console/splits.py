"""The list of splits, and the page of a split."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from stemsplitter.api.dependencies import Cursor, ServicesDep
from stemsplitter.api.event_stream import WAIT, Event, JobPoller, event_stream
from stemsplitter.api.routes.splits import SplitId
from stemsplitter.console.access import SignedInDep, see_other
from stemsplitter.console.player import player_page
from stemsplitter.console.rendering import page
from stemsplitter.jobs.models import SUCCEEDED, UNFINISHED
from stemsplitter.service_errors import Conflict, NotFound

router = APIRouter()

PAGE = 25
_MOST_IDS = 100
_IDS = rf"^[0-9A-Za-z_]{{1,64}}(,[0-9A-Za-z_]{{1,64}}){{0,{_MOST_IDS - 1}}}$"

States = dict[str, tuple[str, int]]


@router.get("/splits")
def list_splits(
    request: Request,
    services: ServicesDep,
    signed_in: SignedInDep,
    cursor: Cursor = None,
    q: Annotated[str, Query(max_length=200)] = "",
    deleted: Annotated[str, Query(pattern=rf"{_IDS}|^$")] = "",
    restored: Annotated[int | None, Query(ge=0)] = None,
    unfinished: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """List the account's splits, newest first; with ``q``, those whose title, artist or file name contains it.

    ``deleted`` are the ids of splits whose deletion can be undone, for a while.
    """
    found, after = services.splits.search(signed_in.account.id, q, limit=PAGE, cursor=cursor)
    return page(
        request,
        "splits.html",
        splits=found,
        covers=services.splits.with_cover(signed_in.account.id, [view.id for view in found]),
        cursor=cursor,
        after=after,
        search=q.strip(),
        deleted=services.splits.restorable(signed_in.account.id, deleted.split(",")) if deleted else [],
        restored=restored,
        kept=unfinished,
    )


@router.get("/splits/events")
def stream_states(
    request: Request,
    services: ServicesDep,
    signed_in: SignedInDep,
    ids: Annotated[str, Query(pattern=_IDS)],
) -> StreamingResponse:
    """Stream server-sent events ``state`` with ``{"id", "status", "progress"}`` of the splits, at first and at each
    change, until all have ended. One connection serves a whole page, as browsers limit their number."""
    account_id = signed_in.account.id
    states = services.splits.states(account_id, ids.split(","))
    return event_stream(request, account_id, _events(request.app.state.poller, account_id, states))


@router.get("/splits/{split_id}")
def show_split(
    request: Request, services: ServicesDep, signed_in: SignedInDep, split_id: SplitId
) -> Response:
    """Show a split: progress, error or player."""
    view = services.splits.get(signed_in.account.id, split_id)
    if view.status == SUCCEEDED:
        return player_page(request, view)
    return page(request, "split.html", split=view)


@router.get("/splits/{split_id}/cover.jpg")
def cover(services: ServicesDep, signed_in: SignedInDep, split_id: SplitId) -> Response:
    """Return the cover of a song, which the server has encoded itself."""
    made = services.splits.cover(signed_in.account.id, split_id)
    return Response(made, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=86400"})


@router.post("/splits/{split_id}/cancel")
def cancel(services: ServicesDep, signed_in: SignedInDep, split_id: SplitId) -> Response:
    """Cancel a queued or running split."""
    services.splits.cancel(signed_in.account.id, split_id)
    return see_other(f"/splits/{split_id}")


@router.post("/splits/{split_id}/retry")
def retry(services: ServicesDep, signed_in: SignedInDep, split_id: SplitId) -> Response:
    """Create a new split from the song of a failed one."""
    created = services.splits.retry(signed_in.account.id, split_id)
    return see_other(f"/splits/{created['id']}")


@router.post("/splits/{split_id}/delete")
def delete(services: ServicesDep, signed_in: SignedInDep, split_id: SplitId) -> Response:
    """Delete an ended split. The list offers to undo it."""
    deleted, unfinished = services.splits.trash(signed_in.account.id, [split_id])
    if unfinished:
        raise Conflict(f"{split_id} has not ended: cancel it first, or wait.")
    if not deleted:
        raise NotFound(f"There is no split {split_id}: check the id; its files may have been deleted.")
    return see_other(f"/splits?deleted={split_id}")


async def _events(poller: JobPoller, account_id: str, states: States) -> AsyncIterator[Event | None]:
    sent: States = {}
    keys = [(account_id, split_id) for split_id, (status, _) in states.items() if status in UNFINISHED]
    async with aclosing(poller.follow(keys)) as polls:
        while True:
            for split_id, (status, progress) in states.items():
                if sent.get(split_id) != (status, progress):
                    yield "state", {"id": split_id, "status": status, "progress": progress}
            if not any(status in UNFINISHED for status, _ in states.values()):
                yield "end", {}
                return
            sent = states
            yield WAIT
            states = {view.id: (view.status, view.progress) for view in (await anext(polls)).values()}
