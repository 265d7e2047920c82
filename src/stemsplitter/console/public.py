"""Public pages: home, pricing and status."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from stemsplitter.api.dependencies import ServicesDep
from stemsplitter.console.demo import find_demo
from stemsplitter.console.developer import curl_command
from stemsplitter.console.new_split import choices
from stemsplitter.console.rendering import page
from stemsplitter.console.tasks import TASKS
from stemsplitter.console.tools import TOOLS
from stemsplitter.credit_packs import parse_packs
from stemsplitter.splits.derived.content import HIGHEST_DB, LOWEST_DB

router = APIRouter()


@router.get("/")
def home(request: Request, services: ServicesDep) -> Response:
    """Show the home page."""
    curl = curl_command(services.settings.base_url)
    fields = {"task": None, "url": "", "webhook_url": "", "instruments": (), **choices(services)}
    return page(
        request,
        "home.html",
        curl=curl,
        tasks=TASKS,
        more=TOOLS,
        demo=find_demo(request),
        lowest=LOWEST_DB,
        highest=HIGHEST_DB,
        **fields,
    )


@router.get("/pricing")
def pricing(request: Request, services: ServicesDep) -> Response:
    """Show the prices."""
    return page(
        request,
        "pricing.html",
        packs=parse_packs(services.settings.packs),
        can_buy=services.payments.enabled,
    )


@router.get("/status")
def status(request: Request, services: ServicesDep) -> Response:
    """Show the status of the service and recent incidents."""
    return page(request, "status.html", service=services.health.status(), links=services.links.state())
