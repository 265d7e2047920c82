"""The theme of the pages: light, dark, or that of the system."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from stemsplitter.console.access import local_path, see_other, set_cookie
from stemsplitter.console.rendering import THEME_COOKIE, THEMES

KEPT_FOR = timedelta(days=365)

router = APIRouter()


@router.post("/theme")
def set_theme(
    request: Request,
    theme: Annotated[str, Form(max_length=20)] = "",
    next: Annotated[str, Form(max_length=2000)] = "/",
) -> Response:
    """Keep the theme in a cookie and return to the page. An empty value follows the system."""
    response = see_other(local_path(next, "/"))
    if theme in THEMES:
        set_cookie(response, request, theme, name=THEME_COOKIE, lasts=KEPT_FOR)
    else:
        response.delete_cookie(THEME_COOKIE)
    return response
