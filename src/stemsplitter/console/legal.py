"""Privacy, terms and cookies: templates that say what this server does, filled from the settings of the operator."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from stemsplitter.console.rendering import page

LEGAL = ("privacy", "terms", "cookies")

router = APIRouter()


@router.get("/privacy")
def privacy(request: Request) -> Response:
    """Show which data is stored, and for how long."""
    return page(request, "privacy.html")


@router.get("/terms")
def terms(request: Request) -> Response:
    """Show the terms of use."""
    return page(request, "terms.html")


@router.get("/cookies")
def cookies(request: Request) -> Response:
    """List the cookies."""
    return page(request, "cookies.html")
