"""Pages of a split that succeeded: player, files and mixes."""

import asyncio
import time
from pathlib import PurePath
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response, StreamingResponse

from stemsplitter.api.dependencies import ServicesDep
from stemsplitter.api.downloads import PRIVATE, download_response, file_response
from stemsplitter.api.routes.splits import SplitId
from stemsplitter.audio.formats import FORMATS, variants
from stemsplitter.audio.peaks import FILE_NAME, MIME
from stemsplitter.console.access import SignedInDep, see_other
from stemsplitter.console.errors import wants_page
from stemsplitter.console.headers import POLICY
from stemsplitter.console.rendering import page
from stemsplitter.console.tasks import METADATA, find_task, initially_muted
from stemsplitter.jobs.models import UNFINISHED
from stemsplitter.service_errors import Busy, NotFound, ValidationFailed
from stemsplitter.services import Services
from stemsplitter.splits.archive import stream_zip
from stemsplitter.splits.derived.content import HIGHEST_DB, LOWEST_DB, Fader, parse_format
from stemsplitter.splits.derived.schemas import FileView
from stemsplitter.splits.derived.service import RETRY_SECONDS
from stemsplitter.splits.models import peaks_key
from stemsplitter.splits.schemas import SplitView
from stemsplitter.splits.stem_file import can_have_stem_file
from stemsplitter.storage.errors import FileMissing
from stemsplitter.storage.names import content_disposition

router = APIRouter()

# six decoded stereo stems need 2 MB of browser memory per second
DECODED_SECONDS = 15 * 60
WAIT_SECONDS = 30.0  # for a worker to make a file
POLLING_SECONDS = 0.2
# the browser revalidates, mostly with the result 304


def player_page(request: Request, split: SplitView) -> Response:
    """Render the player page of ``split``."""
    stems = {name: f"{name}.{FORMATS[split.output_format].extension}" for name in split.stems or {}}
    task = find_task(split.metadata.get(METADATA, ""))
    # the mix form redirects to the store that has the mix
    services: Services = request.app.state.services
    store = services.storage.public_origin
    policy = POLICY.replace("form-action 'self'", f"form-action 'self' {store}")
    covers = services.splits.with_cover(request.state.signed_in.account.id, [split.id])
    return page(
        request,
        "player.html",
        headers={"Content-Security-Policy": policy} if store else {},
        split=split,
        cover=f"/splits/{split.id}/cover.jpg" if covers else "",
        stems=stems,
        task=task,
        muted=initially_muted(task, list(stems)),
        is_decoded=split.duration_seconds <= DECODED_SECONDS,
        has_stem_file=can_have_stem_file(split.stem_model, list(stems)),
        mix_formats=sorted(variants(), key=lambda fmt: not fmt.entry.is_lossless),
        lowest=LOWEST_DB,
        highest=HIGHEST_DB,
    )


@router.get(f"/splits/{{split_id}}/{FILE_NAME}")
def peaks(request: Request, services: ServicesDep, signed_in: SignedInDep, split_id: SplitId) -> Response:
    """Return the peaks for the waveforms."""
    return peaks_response(request, services, signed_in.account.id, split_id)


def peaks_response(request: Request, services: Services, account_id: str, split_id: str) -> Response:
    """Return the peaks of a split of the account. Raises NotFound if it has none."""
    services.splits.succeeded(account_id, split_id)
    try:
        return file_response(request, services.storage, peaks_key(split_id), MIME, FILE_NAME, caching=PRIVATE)
    except FileMissing as error:
        raise NotFound("This split has no waveforms.") from error


@router.get("/splits/{split_id}/files/{name}")
def download(
    request: Request, services: ServicesDep, signed_in: SignedInDep, split_id: SplitId, name: str
) -> Response:
    """Download a stem or a rendered mix; files in S3 by redirect."""
    found = services.derived_files.find(signed_in.account.id, split_id, name)
    return download_response(
        request, services.storage, found.key, found.mime, found.filename, caching=PRIVATE
    )


@router.get("/splits/{split_id}/play/{name}")
def play(
    request: Request, services: ServicesDep, signed_in: SignedInDep, split_id: SplitId, name: str
) -> Response:
    """Return a stem for playback, always through this server: the security policy stays strict and the bucket needs
    no CORS rules."""
    found = services.derived_files.find(signed_in.account.id, split_id, name)
    return file_response(request, services.storage, found.key, found.mime, found.filename, caching=PRIVATE)


@router.get("/splits/{split_id}/archive")
def archive(services: ServicesDep, signed_in: SignedInDep, split_id: SplitId) -> StreamingResponse:
    """Download all stems as a ZIP archive."""
    split = services.splits.succeeded(signed_in.account.id, split_id)
    files = services.splits.stems(signed_in.account.id, split_id)
    headers = {
        "Content-Disposition": content_disposition(f"{PurePath(split.filename).stem} (stems).zip"),
        "Cache-Control": "no-store",
    }
    return StreamingResponse(
        stream_zip(services.storage, files, split.created_at), media_type="application/zip", headers=headers
    )


async def faders(request: Request) -> dict[str, Fader]:
    """Read the settings of the stems from the form fields ``gain-NAME``, ``pan-NAME``, ``mute-NAME``, ``solo-NAME``.

    If the field ``what`` is ``without-NAME`` or ``only-NAME``, the others are ignored: all stems are unchanged.

    Raises:
        ValidationFailed: a gain or pan is not a number.
    """
    form = {key: value for key, value in (await request.form()).items() if isinstance(value, str)}
    choice, _, chosen = form.get("what", "").partition("-")
    if choice in ("without", "only"):
        # the other stems are unchanged, and an unknown stem is rejected by the service
        return {chosen: Fader(muted=choice == "without", solo=choice == "only")}
    fields = [key.partition("-") for key in form]
    return {
        name: Fader(
            gain_db=_number(form, f"gain-{name}"),
            pan=_number(form, f"pan-{name}"),
            muted=f"mute-{name}" in form,
            solo=f"solo-{name}" in form,
        )
        for what, _, name in fields
        if what in ("gain", "pan", "mute", "solo")
    }


async def tempo(request: Request) -> tuple[float, float]:
    """Read the form fields ``speed``, in percent, and ``semitones``. Raises ValidationFailed."""
    form = {key: value for key, value in (await request.form()).items() if isinstance(value, str)}
    return _number(form, "speed", 100) / 100, _number(form, "semitones")


async def mix_format(request: Request) -> str:
    """Read the form field ``format``."""
    return str((await request.form()).get("format", ""))


@router.post("/splits/{split_id}/mix")
async def mix(
    request: Request,
    services: ServicesDep,
    signed_in: SignedInDep,
    split_id: SplitId,
    faders: Annotated[dict[str, Fader], Depends(faders)],
    tempo: Annotated[tuple[float, float], Depends(tempo)],
    format: Annotated[str, Depends(mix_format)],
) -> Response:
    """Make the mix and redirect to the file; a script gets location and peak as JSON."""
    account_id, fmt = signed_in.account.id, parse_format(format)
    made = await run_in_threadpool(services.derived_files.mix, account_id, split_id, faders, fmt, *tempo)
    return await _made(request, services, account_id, split_id, made)


@router.post("/splits/{split_id}/stem-file")
async def stem_file(
    request: Request, services: ServicesDep, signed_in: SignedInDep, split_id: SplitId
) -> Response:
    """Make the .stem.mp4 and redirect to it."""
    account_id = signed_in.account.id
    made = await run_in_threadpool(services.derived_files.stem_file, account_id, split_id)
    return await _made(request, services, account_id, split_id, made)


async def _made(
    request: Request, services: Services, account_id: str, split_id: str, file: FileView
) -> Response:
    """Wait until a worker has made the file, then respond with its location."""
    deadline = time.monotonic() + WAIT_SECONDS
    while file.status in UNFINISHED:
        if time.monotonic() > deadline:
            raise Busy("The file is still being made: try again in a moment.", "files")
        await asyncio.sleep(POLLING_SECONDS)
        file = await run_in_threadpool(services.derived_files.get, account_id, split_id, file.id)
    if file.error is not None:
        raise Busy(file.error.message, "files", RETRY_SECONDS)
    location = f"/splits/{split_id}/files/{file.id}"
    if wants_page(request):
        return see_other(location)
    return JSONResponse({"location": location, "size": file.size, "peak": file.peak, "gain": file.gain})


def _number(form: dict[str, str], name: str, default: float = 0) -> float:
    try:
        return float(form.get(name) or default)
    except ValueError as error:
        raise ValidationFailed(f"{name} is not a number.", param=name) from error
