"""Share links of a split, and the page that they show."""

from typing import Annotated

from fastapi import APIRouter, Form, Path, Request
from starlette.responses import Response

from stemsplitter.api.dependencies import ID, ServicesDep, client_network
from stemsplitter.api.downloads import PRIVATE, download_response, file_response
from stemsplitter.api.routes.splits import SplitId
from stemsplitter.audio.formats import FORMATS
from stemsplitter.audio.peaks import FILE_NAME, OVERVIEW_NAME
from stemsplitter.console.access import SignedInDep, see_other
from stemsplitter.console.player import DECODED_SECONDS, peaks_response
from stemsplitter.console.previews import overview_response, preview_response
from stemsplitter.console.rendering import page
from stemsplitter.rate_limits.service import Policy
from stemsplitter.service_errors import NotFound, ServiceError
from stemsplitter.services import Services
from stemsplitter.sessions.service import SignedIn
from stemsplitter.shares.service import DAYS, Shared
from stemsplitter.splits.derived.content import HIGHEST_DB, LOWEST_DB
from stemsplitter.splits.derived.service import Download

# requests per minute: for pages, of an address; for files, to one link (the player loads a song in about a hundred)
PAGES = Policy("shared page", 60)
FILES = Policy("file of one share link", 1200)
NO_INDEX = {"X-Robots-Tag": "noindex, nofollow", "Cache-Control": PRIVATE}


Token = Annotated[str, Path(max_length=64)]
LinkId = Annotated[str, Path(pattern=ID)]

router = APIRouter()


@router.get("/splits/{split_id}/share")
def links_page(
    request: Request, services: ServicesDep, signed_in: SignedInDep, split_id: SplitId
) -> Response:
    """List the links to a split."""
    return _links(request, services, signed_in, split_id)


@router.post("/splits/{split_id}/share")
def create(
    request: Request,
    services: ServicesDep,
    signed_in: SignedInDep,
    split_id: SplitId,
    days: Annotated[int, Form()] = DAYS[1],
) -> Response:
    """Create a link and show it in the response: only its hash is stored."""
    try:
        with services.database.write() as session:
            token = services.shares.create(session, signed_in.account.id, split_id, days)
    except ServiceError as error:
        return _links(request, services, signed_in, split_id, error=error)
    url = f"{services.settings.base_url}/shared/{token}"
    return _links(request, services, signed_in, split_id, shown=url)


@router.post("/splits/{split_id}/share/{link_id}/revoke")
def revoke(services: ServicesDep, signed_in: SignedInDep, split_id: SplitId, link_id: LinkId) -> Response:
    """Revoke a link."""
    with services.database.write() as session:
        services.shares.revoke(session, signed_in.account.id, link_id)
    return see_other(f"/splits/{split_id}/share")


@router.get("/shared/{token}")
def shared_page(request: Request, services: ServicesDep, token: Token) -> Response:
    """Show the player of a shared split."""
    services.rate_limits.check(client_network(request), PAGES)
    shared = services.shares.find(token)
    split = services.splits.get(shared.account_id, shared.split_id)
    extension = FORMATS[split.output_format].extension
    base = f"/shared/{token}"
    return page(
        request,
        "shared.html",
        headers=NO_INDEX,
        indexed=False,
        base=base,
        cover=f"{base}/cover.jpg" if services.splits.with_cover(shared.account_id, [split.id]) else "",
        split=split,
        expires_at=shared.expires_at,
        stems={name: f"{name}.{extension}" for name in split.stems or {}},
        is_decoded=split.duration_seconds <= DECODED_SECONDS,
        lowest=LOWEST_DB,
        highest=HIGHEST_DB,
    )


@router.get(f"/shared/{{token}}/{OVERVIEW_NAME}")
def waveforms(request: Request, services: ServicesDep, token: Token) -> Response:
    """Return the peaks of the whole song, in few points."""
    shared = _shared(services, token)
    return overview_response(request, services, shared.account_id, shared.split_id)


@router.get(f"/shared/{{token}}/{FILE_NAME}")
def fine_waveforms(request: Request, services: ServicesDep, token: Token) -> Response:
    """Return the peaks for zoomed waveforms."""
    shared = _shared(services, token)
    return peaks_response(request, services, shared.account_id, shared.split_id)


@router.get("/shared/{token}/cover.jpg")
def cover(services: ServicesDep, token: Token) -> Response:
    """Return the cover of the song."""
    shared = _shared(services, token)
    made = services.splits.cover(shared.account_id, shared.split_id)
    return Response(made, media_type="image/jpeg", headers=NO_INDEX)


@router.get("/shared/{token}/previews/{codec}/{name}")
def previews(request: Request, services: ServicesDep, token: Token, codec: str, name: str) -> Response:
    """Return the index of the previews in a codec, or the preview of a stem."""
    shared = _shared(services, token)
    return preview_response(request, services, shared.account_id, shared.split_id, codec, name)


@router.get("/shared/{token}/files/{name}")
def download(request: Request, services: ServicesDep, token: Token, name: str) -> Response:
    """Download a stem; files in S3 by redirect."""
    found = _stem(services, token, name)
    return download_response(
        request, services.storage, found.key, found.mime, found.filename, caching=PRIVATE
    )


@router.get("/shared/{token}/play/{name}")
def play(request: Request, services: ServicesDep, token: Token, name: str) -> Response:
    """Return a stem for playback, always through this server."""
    found = _stem(services, token, name)
    return file_response(request, services.storage, found.key, found.mime, found.filename, caching=PRIVATE)


def _shared(services: Services, token: str) -> Shared:
    """Return what a link shows, for a request for one of its files. Raises NotFound and RateLimited."""
    shared = services.shares.find(token)
    services.rate_limits.check(f"share {shared.split_id}", FILES)
    return shared


def _stem(services: Services, token: str, name: str) -> Download:
    """Return a stem; mixes and other files of the account are not shared. Raises NotFound."""
    shared = _shared(services, token)
    if name not in services.splits.stems(shared.account_id, shared.split_id):
        raise NotFound("There is no such stem.")
    return services.derived_files.find(shared.account_id, shared.split_id, name)


def _links(
    request: Request,
    services: Services,
    signed_in: SignedIn,
    split_id: str,
    *,
    shown: str = "",
    error: ServiceError | None = None,
) -> Response:
    account_id = signed_in.account.id
    split = services.splits.get(account_id, split_id)
    with services.database.read() as session:
        links = services.shares.links(session, account_id, split_id)
    return page(
        request,
        "share.html",
        status=error.status if error else 200,
        split=split,
        links=links,
        days=DAYS,
        shown=shown,
        error=str(error) if error else "",
    )
