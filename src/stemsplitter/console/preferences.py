"""The theme of the pages, light, dark or that of the system, and their language."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from stemsplitter.api.dependencies import ServicesDep
from stemsplitter.console.access import local_path, see_other
from stemsplitter.console.cookies import PREFERENCES_LAST, set_cookie
from stemsplitter.console.language import remember
from stemsplitter.console.rendering import THEME_COOKIE, THEMES
from stemsplitter.languages import LANGUAGES

Next = Annotated[str, Form(max_length=2000)]

router = APIRouter()


@router.post("/theme")
def set_theme(
    request: Request, theme: Annotated[str, Form(max_length=20)] = "", next: Next = "/"
) -> Response:
    """Keep the theme in a cookie and return to the page. An empty value follows the system."""
    response = see_other(local_path(next, "/"))
    if theme in THEMES:
        set_cookie(response, request, theme, name=THEME_COOKIE, lasts=PREFERENCES_LAST)
    else:
        response.delete_cookie(THEME_COOKIE)
    return response


@router.post("/language")
def set_language(
    request: Request,
    services: ServicesDep,
    language: Annotated[str, Form(max_length=20)] = "",
    next: Next = "/",
) -> Response:
    """Keep the language in a cookie, and in the account for its mails, and return to the page."""
    response = see_other(local_path(next, "/"))
    if language in LANGUAGES:
        remember(response, request, language)
        if signed_in := request.state.signed_in:
            with services.database.write() as session:
                services.accounts.set_language(session, signed_in.account.id, language)
    return response
