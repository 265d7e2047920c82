"""Cookies, which scripts and forms of other sites cannot use."""

from datetime import timedelta

from fastapi import Request
from starlette.responses import Response

from stemsplitter.services import Services
from stemsplitter.sessions.service import LIFETIME

COOKIE = "session"
PREFERENCES_LAST = timedelta(days=365)  # theme and language


def set_cookie(
    response: Response, request: Request, value: str, *, name: str = COOKIE, lasts: timedelta = LIFETIME
) -> None:
    """Set a cookie, that of the session by default."""
    services: Services = request.app.state.services
    response.set_cookie(
        name,
        value,
        max_age=int(lasts.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=services.settings.base_url.startswith("https://"),
    )
