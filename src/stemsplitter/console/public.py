"""Pages for everybody: what this is, and what it costs."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from stemsplitter.api.dependencies import ApplicationDep
from stemsplitter.console.rendering import page
from stemsplitter.credits.packs import parse_packs

router = APIRouter()


@router.get("/")
def home(request: Request, application: ApplicationDep) -> Response:
    """What it is, and where to begin."""
    return page(request, "home.html", base_url=application.settings.base_url)


@router.get("/pricing")
def pricing(request: Request, application: ApplicationDep) -> Response:
    """What minutes of music cost here."""
    return page(request, "pricing.html", packs=parse_packs(application.settings.packs))
