"""Pages for everybody: what this is, and what it costs."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from stemsplitter.api.dependencies import ServicesDep
from stemsplitter.console.curl import curl_line
from stemsplitter.console.new_split import choices
from stemsplitter.console.rendering import page
from stemsplitter.console.tasks import TASKS
from stemsplitter.credit_packs import parse_packs
from stemsplitter.splits.model_selection import ready_layouts

router = APIRouter()


@router.get("/")
def home(request: Request, services: ServicesDep) -> Response:
    """What it is, and where to begin."""
    ready = ready_layouts(services.settings, services.models)
    curl = curl_line(services.settings.base_url)
    fields = {"task": None, "url": "", "webhook_url": "", **choices(ready)}
    return page(request, "home.html", curl=curl, tasks=TASKS, **fields)


@router.get("/pricing")
def pricing(request: Request, services: ServicesDep) -> Response:
    """What minutes of music cost here."""
    return page(request, "pricing.html", packs=parse_packs(services.settings.packs))


@router.get("/status")
def status(request: Request, services: ServicesDep) -> Response:
    """How the service is, and what went wrong lately."""
    return page(request, "status.html", service=services.health.status())
