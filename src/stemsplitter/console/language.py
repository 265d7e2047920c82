"""The language of a page: that of the address, the cookie, the account or the browser, or English."""

from collections.abc import Mapping

from fastapi import Request
from starlette.responses import Response

from stemsplitter.console.cookies import PREFERENCES_LAST, set_cookie
from stemsplitter.languages import LANGUAGES, SOURCE, negotiated
from stemsplitter.sessions.service import SignedIn

LANGUAGE_COOKIE = "language"
PARAMETER = "lang"  # of the address: search engines index each language


def language_of(request: Request) -> str:
    """Return the language of the page that answers a request."""
    signed_in: SignedIn | None = getattr(request.state, "signed_in", None)
    chosen: tuple[str | None, ...] = (
        request.query_params.get(PARAMETER),
        request.cookies.get(LANGUAGE_COOKIE),
        signed_in.account.language if signed_in else None,
        negotiated(request.headers.get("accept-language", "")),
    )
    return next((language for language in chosen if language and language in LANGUAGES), SOURCE)


def remember(response: Response, request: Request, language: str) -> None:
    """Keep the language in a cookie."""
    if request.cookies.get(LANGUAGE_COOKIE) != language:
        set_cookie(response, request, language, name=LANGUAGE_COOKIE, lasts=PREFERENCES_LAST)


def is_asked(request: Request) -> bool:
    """Return true if the address names the language."""
    return request.query_params.get(PARAMETER) in LANGUAGES


def alternates(url: str) -> Mapping[str, str]:
    """Return the addresses of a public page in all languages: code → URL; ``x-default`` follows the browser."""
    return {language: f"{url}?{PARAMETER}={language}" for language in LANGUAGES} | {"x-default": url}
