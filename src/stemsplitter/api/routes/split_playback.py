"""Routes for players: waveforms and previews of the stems of a split, and the cover of its song."""

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from stemsplitter.api.dependencies import CallerDep, ServicesDep
from stemsplitter.api.documentation import documented
from stemsplitter.api.envelope import Envelope, success
from stemsplitter.api.routes.split_files import MAKING, RETRY_AFTER_S
from stemsplitter.api.routes.splits import SplitId
from stemsplitter.audio.previews import CODECS, DEFAULT_CODEC, INDEX
from stemsplitter.service_errors import Busy
from stemsplitter.splits.derived.schemas import FileView, PeaksView, Preview, PreviewsView
from stemsplitter.splits.models import overview_key, peaks_key

router = APIRouter(tags=["Splits"])

_PREVIEWS: dict[str, Any] = {
    "codec": "opus",
    "mime": "audio/ogg",
    "sampleRate": 48_000,
    "samples": 10_272_000,
    "pieceSamples": 96_000,
    "delay": 4152,
    "stems": {
        "vocals": {"url": "https://stems.example.com/files/MTc3ODQw…/vocals.opus", "sizes": [25_410, 24_377]}
    },
}
_PEAKS = {
    "sampleRate": 44_100,
    "samples": 9_437_400,
    "samplesPerPoint": 7938,
    "stems": {"vocals": "AAD/Af4C…", "drums": "6RfkHOIf…"},
}


@router.get(
    "/v1/audio/splits/{split_id}/peaks",
    response_model=Envelope[PeaksView],
    operation_id="getSplitPeaks",
    openapi_extra=documented(response=_PEAKS, errors=("CONFLICT",)),
)
def get_peaks(
    services: ServicesDep,
    caller: CallerDep,
    split_id: SplitId,
    resolution: Annotated[
        Literal["overview", "full"],
        Query(
            description="`overview`: at most 1200 points for the whole song; `full`: 50 points per second."
        ),
    ] = "overview",
) -> Response:
    """Get the peaks of all stems, to draw their waveforms."""
    services.splits.succeeded(caller.account_id, split_id)
    key = overview_key(split_id) if resolution == "overview" else peaks_key(split_id)
    return success(PeaksView.model_validate(json.loads(b"".join(services.storage.read(key)))))


@router.get(
    "/v1/audio/splits/{split_id}/previews",
    response_model=Envelope[PreviewsView],
    responses={202: {"model": Envelope[FileView]}},
    operation_id="getSplitPreviews",
    openapi_extra={
        "responses": {**documented(response=_PREVIEWS, errors=("CONFLICT",))["responses"], "202": MAKING}
    },
)
def get_previews(
    services: ServicesDep,
    caller: CallerDep,
    split_id: SplitId,
    codec: Annotated[
        Literal["opus", "aac"],
        Query(description="`aac` is for browsers that do not decode Opus in Ogg; it is made on request."),
    ] = DEFAULT_CODEC,  # type: ignore[assignment]
) -> Response:
    """Get links to small files of the stems, which a player loads piece by piece with range requests."""
    found = services.derived_files.previews(caller.account_id, split_id, codec)
    if found is None:
        raise Busy("The previews could not be made: play the stems.", "files")
    if isinstance(found, FileView):
        response = success(found, {"Retry-After": str(RETRY_AFTER_S)})
        response.status_code = 202
        return response
    index = json.loads(b"".join(services.storage.read(f"{found}/{INDEX}")))
    seconds, mime = services.settings.stem_url_seconds, CODECS[codec].mime
    stems = {
        name: Preview(
            url=services.storage.signed_url(f"{found}/{stem['file']}", stem["file"], mime, seconds),
            sizes=stem["sizes"],
        )
        for name, stem in index["stems"].items()
    }
    return success(PreviewsView.model_validate({**index, "stems": stems}))


@router.get(
    "/v1/audio/splits/{split_id}/cover",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}, "description": "A JPEG."}},
    operation_id="getSplitCover",
)
def get_cover(services: ServicesDep, caller: CallerDep, split_id: SplitId) -> Response:
    """Get the cover of the song as a JPEG of at most 192 pixels. It comes from the tags; many songs have none (404)."""
    made = services.splits.cover(caller.account_id, split_id)
    return Response(made, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=86400"})
