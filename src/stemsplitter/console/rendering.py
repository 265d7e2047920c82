"""Page templates. Values are escaped; an undefined variable is an error."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from stemsplitter.api.compression import compress
from stemsplitter.audio.formats import FORMATS
from stemsplitter.console import assets
from stemsplitter.console.tasks import TASKS
from stemsplitter.console.tools import TOOLS
from stemsplitter.sessions.service import SignedIn
from stemsplitter.settings import Settings
from stemsplitter.sizes import size
from stemsplitter.splits.models import Split
from stemsplitter.splits.schemas import SplitView
from stemsplitter.version import __version__

_TEMPLATES = Path(__file__).parent / "templates"
THEME_COOKIE = "theme"
THEMES = ("light", "dark")
_SIGNS = {"usd": "$", "eur": "€", "gbp": "£"}


def page(
    request: Request,
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    indexed: bool = True,
    **context: Any,
) -> Response:
    """Render a template with ``context``. Search engines skip the page unless it is ``indexed``.

    Templates also get ``request``, ``signed_in`` (:class:`SignedIn` or None), ``csrf`` (the session's token, empty
    without a session), ``theme`` (empty for that of the system), ``page_url`` (empty for pages
    that search engines skip), ``settings``, ``tools`` and ``version``.
    """
    signed_in: SignedIn | None = getattr(request.state, "signed_in", None)
    settings: Settings = request.app.state.services.settings
    theme = request.cookies.get(THEME_COOKIE, "")
    text = _environment.get_template(template).render(
        request=request,
        signed_in=signed_in,
        csrf=signed_in.session.csrf if signed_in else "",
        settings=settings,
        # of pages for search engines: those that anybody can read
        page_url=""
        if signed_in or status != 200 or not indexed
        else f"{settings.base_url}{request.url.path}",
        theme=theme if theme in THEMES else "",
        **context,
    )
    # pages of a session contain its CSRF token, so they are not compressed
    caching = {"Cache-Control": "no-store" if signed_in else "no-cache", "Vary": "Cookie"}
    response = HTMLResponse(text, status_code=status, headers=caching | dict(headers or {}))
    return response if signed_in else compress(request, response)


def render(template: str, **context: Any) -> str:
    """Render a template that is not a page, such as a message."""
    return _environment.get_template(template).render(**context)


def duration(seconds: float) -> str:
    """Format seconds as ``3:07`` or ``1:02:03``."""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def spoken(seconds: float) -> str:
    """Format seconds in words, rounded: ``45 seconds``, ``10 minutes``, ``1 hour``, ``90 minutes``."""
    whole, unit = round(seconds), "second"
    if whole >= 60:
        whole, unit = round(whole / 60), "minute"
        if whole % 60 == 0 or whole >= 120:
            whole, unit = round(whole / 60), "hour"
    return f"{whole} {unit}" if whole == 1 else f"{whole} {unit}s"


def count(number: int) -> str:
    """Format an integer as ``30,000``."""
    return f"{number:,}"


def price(hundredths: int, currency: str) -> str:
    """Format an amount in hundredths as ``$12.00``, or ``12.00 SEK`` for currencies without a sign of their own."""
    amount = f"{hundredths // 100:,}.{hundredths % 100:02}"
    sign = _SIGNS.get(currency.lower())
    return f"{sign}{amount}" if sign else f"{amount} {currency.upper()}"


def moment(at: datetime) -> str:
    """Format a time as ``2026-05-03 10:20``, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"


def iso(at: datetime) -> str:
    """Format a time as ``2026-05-03T10:20:30Z``."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def output(split: Split | SplitView) -> str:
    """Describe the stems and the format of a split: ``6 stems · MP3``."""
    return f"{split.stem_model.removesuffix('s')} stems · {FORMATS[split.output_format].label}"


def song(split: SplitView) -> str:
    """Return the title of a split's song, or the name of its file."""
    return split.title or split.filename


_environment = Environment(
    loader=FileSystemLoader(_TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters |= {
    each.__name__: each for each in (duration, spoken, count, size, price, moment, iso, output, song)
}
_environment.globals |= {"static": assets.url, "tools": (*TASKS, *TOOLS), "version": __version__}
