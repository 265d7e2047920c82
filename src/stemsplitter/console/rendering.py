"""Pages, rendered from templates in the language of the reader."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from fastapi import Request
from jinja2 import Environment
from starlette.responses import HTMLResponse, Response

from stemsplitter.api.compression import compress
from stemsplitter.audio.formats import FORMATS
from stemsplitter.console import environments
from stemsplitter.console.language import alternates, is_asked, language_of, remember
from stemsplitter.console.vocabulary import key, stem, stem_title, word
from stemsplitter.languages import current, gettext, ngettext, using
from stemsplitter.languages.current import error_text
from stemsplitter.languages.formats import (
    all_of,
    any_of,
    count,
    day,
    decimal,
    percent,
    price,
    short,
    size,
    spoken,
)
from stemsplitter.sessions.service import SignedIn
from stemsplitter.settings import Settings
from stemsplitter.splits.models import Split
from stemsplitter.splits.schemas import SplitView

THEME_COOKIE = "theme"
THEMES = ("light", "dark")


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
    without a session), ``theme`` (empty for that of the system), ``page_url`` and ``alternates`` (its address, and
    those in all languages; empty for pages that search engines skip), ``settings``, ``tools``, ``language``
    and ``version``.
    """
    signed_in: SignedIn | None = getattr(request.state, "signed_in", None)
    settings: Settings = request.app.state.services.settings
    theme = request.cookies.get(THEME_COOKIE, "")
    language = language_of(request)
    # of pages for search engines: those that anybody can read
    is_public = not signed_in and status == 200 and indexed
    addresses = alternates(f"{settings.base_url}{request.url.path}") if is_public else {}
    text = render(
        template,
        language,
        request=request,
        signed_in=signed_in,
        csrf=signed_in.session.csrf if signed_in else "",
        settings=settings,
        page_url=addresses.get(language if is_asked(request) else "x-default", ""),
        alternates=addresses,
        theme=theme if theme in THEMES else "",
        **context,
    )
    # pages of a session contain its CSRF token, so they are not compressed
    about = {
        "Cache-Control": "no-store" if signed_in else "no-cache",
        "Content-Language": language,
        "Vary": "Cookie, Accept-Language",
    }
    response = HTMLResponse(text, status_code=status, headers=about | dict(headers or {}))
    if is_asked(request):
        remember(response, request, language)
    return response if signed_in else compress(request, response)


def render(template: str, language: str, **context: Any) -> str:
    """Render a template in a language; a page, or the text of a message."""
    with using(language):
        return _environment(language).get_template(template).render(**context)


def duration(seconds: float) -> str:
    """Format seconds as ``3:07`` or ``1:02:03``."""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def moment(at: datetime) -> str:
    """Format a time as ``2026-05-03 10:20``, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"


def iso(at: datetime) -> str:
    """Format a time as ``2026-05-03T10:20:30Z``."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def output(split: Split | SplitView) -> str:
    """Describe the stems and the format of a split: ``6 stems · MP3``."""
    return _output(int(split.stem_model.removesuffix("s")), split.output_format, current())


@cache
def _output(number: int, output_format: str, language: str) -> str:
    stems = ngettext("%(number)s stem", "%(number)s stems", number) % {"number": number}
    return f"{stems} · {FORMATS[output_format].label}"


def song(split: SplitView) -> str:
    """Return the title of a split's song, or the name of its file."""
    return split.title or split.filename


@cache
def _environment(language: str) -> Environment:
    environment = environments.environment(language)
    environment.filters |= {each.__name__: each for each in _FILTERS}
    environment.filters["translated"] = gettext  # a text that a module has marked
    return environment


_FILTERS = (
    all_of,
    any_of,
    count,
    day,
    decimal,
    duration,
    error_text,
    iso,
    key,
    moment,
    output,
    percent,
    price,
    short,
    size,
    song,
    spoken,
    stem,
    stem_title,
    word,
)
