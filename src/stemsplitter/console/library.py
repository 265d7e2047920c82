"""Actions on songs of the list: rename, split again, and download or delete several."""

from collections.abc import Sequence
from pathlib import PurePath
from typing import Annotated, Any, cast

from fastapi import APIRouter, Form, Request
from starlette.responses import Response, StreamingResponse

from stemsplitter.api.dependencies import ID, ServicesDep
from stemsplitter.api.routes.splits import SplitId
from stemsplitter.catalogue.qualities import QUALITIES
from stemsplitter.clock import now
from stemsplitter.console.access import SignedInDep, see_other
from stemsplitter.console.new_split import FORMATS, LAYOUT_NAMES, choices
from stemsplitter.console.rendering import page
from stemsplitter.jobs.models import SUCCEEDED, UNFINISHED
from stemsplitter.rate_limits.service import HOUR_S, Policy
from stemsplitter.service_errors import Conflict, ServiceError, ValidationFailed
from stemsplitter.splits.archive import folders, stream_zip
from stemsplitter.storage.names import content_disposition

DOWNLOADS = Policy("download of several splits", 60, HOUR_S)
MAX_SELECTED = 100

_Text = Annotated[str, Form(max_length=1000)]
Ids = Annotated[Sequence[Annotated[str, Form(pattern=ID)]], Form(max_length=MAX_SELECTED)]

router = APIRouter()


@router.post("/splits/selected/download")
def download(services: ServicesDep, signed_in: SignedInDep, ids: Ids = ()) -> StreamingResponse:
    """Download the stems of the selected splits as a ZIP archive, with a folder for each."""
    account_id = signed_in.account.id
    services.rate_limits.check(account_id, DOWNLOADS)
    songs = []
    for split_id in dict.fromkeys(ids):
        view = services.splits.get(account_id, split_id)
        if view.status == SUCCEEDED:
            name = view.title or PurePath(view.filename).stem
            songs.append((name, services.splits.stems(account_id, split_id)))
    if not songs:
        raise Conflict("Select splits that have succeeded: only they have stems.")
    headers = {"Content-Disposition": content_disposition("Stems.zip"), "Cache-Control": "no-store"}
    return StreamingResponse(
        stream_zip(services.storage, folders(songs), now()), media_type="application/zip", headers=headers
    )


@router.post("/splits/selected/delete")
def delete(services: ServicesDep, signed_in: SignedInDep, ids: Ids = ()) -> Response:
    """Delete those of the selected splits that have ended. The list offers to undo it."""
    deleted, unfinished = services.splits.trash(signed_in.account.id, ids)
    return see_other(f"/splits?deleted={','.join(deleted)}&unfinished={unfinished}")


@router.post("/splits/restore")
def restore(services: ServicesDep, signed_in: SignedInDep, ids: Ids = ()) -> Response:
    """Undo the deletion of splits."""
    return see_other(f"/splits?restored={services.splits.restore(signed_in.account.id, ids)}")


@router.post("/splits/{split_id}/rename")
def rename(services: ServicesDep, signed_in: SignedInDep, split_id: SplitId, title: _Text = "") -> Response:
    """Set the title of the song."""
    services.splits.rename(signed_in.account.id, split_id, title)
    return see_other(f"/splits/{split_id}")


@router.get("/splits/{split_id}/again")
def again_page(
    request: Request, services: ServicesDep, signed_in: SignedInDep, split_id: SplitId
) -> Response:
    """Show the form that splits the song again."""
    view = services.splits.get(signed_in.account.id, split_id)
    if view.status in UNFINISHED:
        raise Conflict("This split has not ended: wait, or cancel it.")
    return page(request, "again.html", split=view, error="", **choices(services))


@router.post("/splits/{split_id}/again")
def again(
    request: Request,
    services: ServicesDep,
    signed_in: SignedInDep,
    split_id: SplitId,
    layout: _Text = "6s",
    format: _Text = "mp3",
    quality: _Text = "",
) -> Response:
    """Split the song again, without sending it again."""
    view = services.splits.get(signed_in.account.id, split_id)
    try:
        if layout not in LAYOUT_NAMES or format not in FORMATS or quality not in ("", *QUALITIES):
            raise ValidationFailed("Choose the stems, the format and the quality from the list.")
        created = services.splits.split_again(
            signed_in.account.id,
            split_id,
            layout=cast(Any, layout),
            output_format=FORMATS[format].container,
            bit_depth=FORMATS[format].depth or None,
            quality=cast(Any, quality or None),
        )
    except ServiceError as error:
        return page(
            request, "again.html", status=error.status, split=view, error=str(error), **choices(services)
        )
    return see_other(f"/splits/{created['id']}")
