"""Previews and overviews of the waveforms, which the player of a split loads."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from stemsplitter.api.dependencies import ServicesDep
from stemsplitter.api.downloads import file_response
from stemsplitter.api.routes.splits import SplitId
from stemsplitter.audio.peaks import MIME, overview
from stemsplitter.audio.previews import CODECS, INDEX, INDEX_MIME
from stemsplitter.console.access import SignedInDep
from stemsplitter.service_errors import NotFound
from stemsplitter.splits.models import peaks_key, previews_folder
from stemsplitter.storage.errors import FileMissing

router = APIRouter()

# the browser revalidates, mostly with the result 304
_CACHING = "private, no-cache"


@router.get("/splits/{split_id}/overview.json")
def waveforms(services: ServicesDep, signed_in: SignedInDep, split_id: SplitId) -> Response:
    """Return the peaks of the whole song, in few points."""
    services.splits.succeeded(signed_in.account.id, split_id)
    try:
        stored = b"".join(services.storage.read(peaks_key(split_id)))
    except FileMissing as error:
        raise NotFound("This split has no waveforms.") from error
    return Response(overview(stored), media_type=MIME, headers={"Cache-Control": _CACHING})


@router.get("/splits/{split_id}/previews/{codec}/{name}")
def previews(
    request: Request, services: ServicesDep, signed_in: SignedInDep, split_id: SplitId, codec: str, name: str
) -> Response:
    """Return the index of the previews in a codec, or the preview of a stem, whole or a range of it.

    The index is empty (204) if the split has no previews.
    """
    split = services.splits.succeeded(signed_in.account.id, split_id)
    known = CODECS.get(codec)
    mimes = {INDEX: INDEX_MIME}
    if known is not None:
        mimes |= {f"{stem}.{known.extension}": known.mime for stem in split.stems or {}}
    if known is None or name not in mimes:
        raise NotFound("There is no such preview.")
    key = f"{previews_folder(split_id, codec)}/{name}"
    try:
        return file_response(request, services.storage, key, mimes[name], name, caching=_CACHING)
    except FileMissing as error:
        if name == INDEX:
            return Response(status_code=204)  # not an error: the player loads the stems
        raise NotFound("This split has no previews.") from error
