"""Routes of files made from the stems of a split: stems in any format, archives and mixes."""

from pathlib import PurePath
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from starlette.responses import RedirectResponse, Response, StreamingResponse

from stemsplitter.api.dependencies import ID, CallerDep, Cursor, ServicesDep
from stemsplitter.api.documentation import JSON, documented, error_reference
from stemsplitter.api.envelope import Envelope, success
from stemsplitter.api.routes.splits import SplitId
from stemsplitter.audio.formats import bit_depths
from stemsplitter.services import Services
from stemsplitter.splits.archive import stream_zip
from stemsplitter.splits.derived.schemas import CreateMix, FileView, MixPage, MixView
from stemsplitter.splits.derived.service import Download
from stemsplitter.splits.schemas import OutputFormat
from stemsplitter.storage.names import content_disposition

router = APIRouter(tags=["Splits"])

RETRY_AFTER_S = 1
_FILE: dict[str, Any] = {
    "id": "file_0Yx3kQpAb2Jd7MfTn5Rv8W",
    "status": "queued",
    "filename": "song (vocals).flac",
    "format": "flac24",
    "size": None,
    "peak": None,
    "gain": None,
    "createdAt": "2026-05-03T10:22:00.000Z",
    "expiresAt": "2026-05-03T11:22:00.000Z",
    "url": None,
    "error": None,
}
_MIX_ID = "mix_0Yx3kQpAb2Jd7MfTn5Rv8W"
_MIX = _FILE | {
    "id": _MIX_ID,
    "status": "succeeded",
    "filename": "song (mix).flac",
    "size": 31_458_020,
    "peak": 0.91,
    "gain": 1.0,
    "url": "https://stems.example.com/files/MTc3ODQw…/song%20%28mix%29.flac",
    "gains": {"vocals": -6.0, "drums": None, "bass": 0.0, "guitar": 0.0, "piano": 0.0, "other": 0.0},
    "pan": {"bass": -0.2},
}
_OF_MIX = {"split_id": "$request.path.split_id", "mix_id": "$response.body#/data/id"}
_REDIRECT = {
    "description": "The file is ready: a signed link to it.",
    "headers": {"Location": {"schema": {"type": "string", "format": "uri"}}},
}
MAKING = {
    "description": "The file is being made: send the request again after the seconds in `Retry-After`.",
    "headers": {"Retry-After": {"schema": {"type": "integer"}}},
    "content": {JSON: {"example": {"success": True, "data": _FILE}}},
}
_CONFLICT = {"409": error_reference("CONFLICT")}

Format = Annotated[OutputFormat | None, Query(description="By default that of the split.")]
BitDepth = Annotated[
    str | None,
    Query(
        alias="bitDepth",
        description="Of wav, flac, aiff and alac.",
        json_schema_extra={"enum": list(bit_depths())},
    ),
]
Bitrate = Annotated[int | None, Query(ge=1, le=1000, description="Of mp3, m4a and opus, in kbit/s.")]
StemPath = Annotated[
    str,
    Path(
        pattern=r"^[a-z_]{1,32}$",
        description="A stem of the split, or its complement: `no_drums` is the song without drums.",
        examples=["vocals"],
    ),
]


@router.get(
    "/v1/audio/splits/{split_id}/stems/{name}",
    response_model=Envelope[FileView],
    status_code=202,
    responses={302: _REDIRECT},
    operation_id="getStem",
    openapi_extra={"responses": {"202": MAKING, **_CONFLICT}},
)
def get_stem(
    services: ServicesDep,
    caller: CallerDep,
    split_id: SplitId,
    name: StemPath,
    format: Format = None,
    bit_depth: BitDepth = None,
    bitrate: Bitrate = None,
) -> Response:
    """Get a stem, or the song without a stem, in any format. It is made from the lossless stems, without credits."""
    found = services.derived_files.stem(caller.account_id, split_id, name, format, bit_depth, bitrate)
    return _file_response(services, found)


@router.get(
    "/v1/audio/splits/{split_id}/archive",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
            "description": "A ZIP archive of the stems in the format of the split.",
        },
        202: {"model": Envelope[FileView]},
        302: _REDIRECT,
    },
    operation_id="getSplitArchive",
    openapi_extra={"responses": {"202": MAKING, **_CONFLICT}},
)
def get_archive(
    services: ServicesDep,
    caller: CallerDep,
    split_id: SplitId,
    format: Annotated[
        OutputFormat | Literal["stem.mp4"] | None,
        Query(
            description="By default that of the split. `stem.mp4` is one Native Instruments Stem file with all stems."
        ),
    ] = None,
    bit_depth: BitDepth = None,
    bitrate: Bitrate = None,
) -> Response:
    """Download all stems of a succeeded split in a ZIP archive, in any format."""
    found = services.derived_files.archive(caller.account_id, split_id, format, bit_depth, bitrate)
    if found is not None:
        return _file_response(services, found)
    split = services.splits.succeeded(caller.account_id, split_id)
    files = services.splits.stems(caller.account_id, split_id)
    headers = {"Content-Disposition": content_disposition(f"{PurePath(split.filename).stem}.zip")}
    blocks = stream_zip(services.storage, files, split.created_at)
    return StreamingResponse(blocks, media_type="application/zip", headers=headers)


@router.post(
    "/v1/audio/splits/{split_id}/mixes",
    response_model=Envelope[MixView],
    operation_id="createMix",
    openapi_extra=documented(
        request={"gains": {"vocals": -6, "drums": None}, "pan": {"bass": -0.2}, "format": "flac"},
        response=_MIX | {"status": "queued", "size": None, "peak": None, "gain": None, "url": None},
        errors=("CONFLICT",),
        links={"getMix": _OF_MIX},
    ),
)
def create_mix(services: ServicesDep, caller: CallerDep, split_id: SplitId, body: CreateMix) -> Response:
    """Create a mix of the stems. The same request returns the same mix; it is made in the background, without
    credits."""
    made = services.derived_files.mix_levels(
        caller.account_id, split_id, body.gains, body.pan, body.format, body.bit_depth, body.bitrate
    )
    return success(made)


@router.get(
    "/v1/audio/splits/{split_id}/mixes",
    response_model=Envelope[MixPage],
    operation_id="listMixes",
    openapi_extra=documented(response={"items": [_MIX], "nextCursor": None}, errors=("CONFLICT",)),
)
def list_mixes(
    services: ServicesDep,
    caller: CallerDep,
    split_id: SplitId,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Cursor = None,
) -> Response:
    """List the mixes of a split, newest first."""
    items, after = services.derived_files.mixes(caller.account_id, split_id, limit=limit, cursor=cursor)
    return success(MixPage(items=list(items), next_cursor=after))


@router.get(
    "/v1/audio/splits/{split_id}/mixes/{mix_id}",
    response_model=Envelope[MixView],
    operation_id="getMix",
    openapi_extra=documented(response=_MIX, errors=("CONFLICT",)),
)
def get_mix(
    services: ServicesDep, caller: CallerDep, split_id: SplitId, mix_id: Annotated[str, Path(pattern=ID)]
) -> Response:
    """Get a mix, with a link to it once it has succeeded."""
    return success(services.derived_files.get_mix(caller.account_id, split_id, mix_id))


def _file_response(services: Services, found: Download | FileView) -> Response:
    if isinstance(found, FileView):
        response = success(found, {"Retry-After": str(RETRY_AFTER_S)})
        response.status_code = 202
        return response
    url = services.storage.signed_url(found.key, found.filename, found.mime, found.seconds)
    return RedirectResponse(url, 302, {"Cache-Control": "no-store"})
