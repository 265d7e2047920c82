"""Pages from templates: everything is escaped, and nothing that is missing is passed over."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from stemsplitter.console import assets
from stemsplitter.sessions.service import SignedIn

_TEMPLATES = Path(__file__).parent / "templates"


def page(
    request: Request,
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **context: Any,
) -> HTMLResponse:
    """The page that a template makes of ``context``.

    Templates also have ``request``, ``signed_in`` (:class:`SignedIn` or None), ``csrf`` (the token of the
    session's forms, empty for who is not signed in) and ``settings``.
    """
    signed_in: SignedIn | None = getattr(request.state, "signed_in", None)
    text = _environment.get_template(template).render(
        request=request,
        signed_in=signed_in,
        csrf=signed_in.session.csrf if signed_in else "",
        settings=request.app.state.services.settings,
        **context,
    )
    caching = {"Cache-Control": "no-store" if signed_in else "no-cache", "Vary": "Cookie"}
    return HTMLResponse(text, status_code=status, headers=caching | dict(headers or {}))


def duration(seconds: float) -> str:
    """``3:07``, or ``1:02:03`` from an hour on."""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def spoken(seconds: float) -> str:
    """``45 seconds``, ``10 minutes``, ``1 hour``, ``90 minutes``: whole units, rounded."""
    whole, unit = round(seconds), "second"
    if whole >= 60:
        whole, unit = round(whole / 60), "minute"
        if whole % 60 == 0 or whole >= 120:
            whole, unit = round(whole / 60), "hour"
    return f"{whole} {unit}" if whole == 1 else f"{whole} {unit}s"


def count(number: int) -> str:
    """``30,000``."""
    return f"{number:,}"


def size(octets: int) -> str:
    """``812 B``, ``3.4 MB``, ``12 MB``: units of 1000, two figures at least."""
    amount, units = float(octets), ["B", "kB", "MB", "GB", "TB"]
    while round(amount) >= 1000 and len(units) > 1:
        amount /= 1000
        del units[0]
    return f"{amount:.0f} {units[0]}" if units[0] == "B" or amount >= 9.95 else f"{amount:.1f} {units[0]}"


def price(hundredths: int, currency: str) -> str:
    """``12.00 USD``."""
    return f"{hundredths // 100:,}.{hundredths % 100:02} {currency.upper()}"


def moment(at: datetime) -> str:
    """``2026-05-03 10:20``, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"


def iso(at: datetime) -> str:
    """``2026-05-03T10:20:30Z``, for machines: the script of the pages shows it in the reader's own time."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


_environment = Environment(
    loader=FileSystemLoader(_TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters |= {each.__name__: each for each in (duration, spoken, count, size, price, moment, iso)}
_environment.globals["static"] = assets.url
