"""Previews and overviews of the waveforms, which the player of a split loads."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from stemsplitter.api.dependencies import ServicesDep
from stemsplitter.api.downloads import PRIVATE, file_response
from stemsplitter.api.routes.split_files import RETRY_AFTER_S
from stemsplitter.api.routes.splits import SplitId
from stemsplitter.audio.peaks import MIME, OVERVIEW_NAME
from stemsplitter.audio.previews import CODECS, INDEX, INDEX_MIME
from stemsplitter.console.access import SignedInDep
from stemsplitter.service_errors import NotFound
from stemsplitter.services import Services
from stemsplitter.splits.derived.schemas import FileView
from stemsplitter.splits.models import overview_key
from stemsplitter.storage.errors import FileMissing

router = APIRouter()

# the browser revalidates, mostly with the result 304


@router.get(f"/splits/{{split_id}}/{OVERVIEW_NAME}")
def waveforms(request: Request, services: ServicesDep, signed_in: SignedInDep, split_id: SplitId) -> Response:
    """Return the peaks of the whole song, in few points."""
    return overview_response(request, services, signed_in.account.id, split_id)


def overview_response(request: Request, services: Services, account_id: str, split_id: str) -> Response:
    """Return the peaks of a split of the account. Raises NotFound if it has none."""
    services.splits.succeeded(account_id, split_id)
    key = overview_key(split_id)
    try:
        return file_response(request, services.storage, key, MIME, OVERVIEW_NAME, caching=PRIVATE)
    except FileMissing as error:
        raise NotFound("This split has no waveforms.") from error


@router.get("/splits/{split_id}/previews/{codec}/{name}")
def previews(
    request: Request, services: ServicesDep, signed_in: SignedInDep, split_id: SplitId, codec: str, name: str
) -> Response:
    """Return the index of the previews in a codec, or the preview of a stem, whole or a range of it.

    Empty with 202 while they are made, and with 204 if they cannot be made.
    """
    return preview_response(request, services, signed_in.account.id, split_id, codec, name)


def preview_response(
    request: Request, services: Services, account_id: str, split_id: str, codec: str, name: str
) -> Response:
    """Return a preview of a split of the account, as :func:`previews` does."""
    split = services.splits.succeeded(account_id, split_id)
    known = CODECS.get(codec)
    mimes = {INDEX: INDEX_MIME}
    if known is not None:
        mimes |= {f"{stem}.{known.extension}": known.mime for stem in split.stems or {}}
    if known is None or name not in mimes:
        raise NotFound("There is no such preview.")
    folder = services.derived_files.previews(account_id, split_id, codec)
    if isinstance(folder, FileView):
        return Response(status_code=202, headers={"Retry-After": str(RETRY_AFTER_S)})
    if folder is None:
        return Response(status_code=204)  # not an error: the player loads the stems
    try:
        return file_response(
            request, services.storage, f"{folder}/{name}", mimes[name], name, caching=PRIVATE
        )
    except FileMissing as error:
        raise NotFound("This split has no previews.") from error
