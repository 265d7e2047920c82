"""Access to pages: sign-in, the operator role, and protection against cross-site requests."""

import hmac
import ipaddress
import re
from typing import Annotated
from urllib.parse import quote, urlsplit

from fastapi import Depends, FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from stemsplitter.api.errors import answer
from stemsplitter.console.cookies import COOKIE
from stemsplitter.console.errors import wants_page
from stemsplitter.console.language import language_of
from stemsplitter.languages.current import choose
from stemsplitter.service_errors import NotFound, ServiceError
from stemsplitter.services import Services
from stemsplitter.sessions.service import SignedIn
from stemsplitter.settings import Settings

HOME = "/splits"  # the page after signing in
# reserved by RFC 6761, RFC 6762, RFC 8375 and ICANN, and one that routers use
_LOCAL_NAMES = (".localhost", ".local", ".home.arpa", ".internal", ".lan")
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
# browsers read a backslash as a slash and skip tabs and line breaks
_LOCAL = re.compile(r"/(?!/)[^\\\s\x00-\x1f]*")


class Forbidden(ServiceError):
    """The request does not come from a page of this session."""

    code = "FORBIDDEN"
    status = 403


class SignInRequired(Exception):
    """The page requires a session."""


def install(app: FastAPI) -> None:
    """Redirect to the sign-in page where a session is required."""
    app.add_exception_handler(SignInRequired, _to_sign_in)


async def guard(request: Request) -> None:
    """Find the session and the language, and reject cross-site requests. Every router of the console depends on it.

    With a session, a request that changes something needs its CSRF token, in the form field ``csrf`` or the header
    ``X-CSRF-Token``. Without one, the ``Origin`` header must be this server: its public URL, or a local name.

    Raises:
        Forbidden: the token or the origin is wrong.
    """
    token = request.cookies.get(COOKIE)
    services: Services = request.app.state.services
    signed_in = await run_in_threadpool(services.sessions.find, token) if token else None
    request.state.signed_in = signed_in
    choose(language_of(request))
    if request.method in _SAFE_METHODS:
        return
    if signed_in is None:
        if not _is_from_here(request, services.settings):
            raise Forbidden(
                "This form was sent from another site. Open the page at the address of this server and try again; its "
                "operator sets the address with STEMSPLITTER_PUBLIC_URL, and others with STEMSPLITTER_ALLOWED_HOSTS."
            )
        return
    given = request.headers.get("x-csrf-token") or (await request.form()).get("csrf")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), signed_in.session.csrf.encode()):
        raise Forbidden("This page belongs to an earlier session. Reload it and try again.")


async def signed_in(request: Request, _: Annotated[None, Depends(guard)]) -> SignedIn:
    """Return the session and its account.

    Raises:
        SignInRequired: there is no session.
    """
    found = request.state.signed_in
    if found is None:
        raise SignInRequired
    assert isinstance(found, SignedIn)
    return found


SignedInDep = Annotated[SignedIn, Depends(signed_in)]


async def operator(signed_in: SignedInDep) -> SignedIn:
    """Return the session of an operator.

    Raises:
        NotFound: the account is not an operator's; the page is not disclosed.
        SignInRequired: there is no session.
    """
    if signed_in.account.role != "operator":
        raise NotFound("There is no page at this address.")
    return signed_in


OperatorDep = Annotated[SignedIn, Depends(operator)]


def local_path(wanted: str, otherwise: str = HOME) -> str:
    """Return ``wanted`` if it is a path on this server, else ``otherwise``."""
    return wanted if _LOCAL.fullmatch(wanted) else otherwise


def see_other(path: str) -> RedirectResponse:
    """Redirect to ``path`` after a form was processed."""
    return RedirectResponse(path, status_code=303)


def _is_from_here(request: Request, settings: Settings) -> bool:
    origin = urlsplit(request.headers.get("origin", "")).netloc
    if origin == urlsplit(settings.base_url).netloc:
        return True
    host = request.headers.get("host", "")
    name = _name_of(host)
    return origin == host and (name in settings.allowed_hosts or _is_local(name))


def _name_of(host: str) -> str:
    """Return the host of ``host:port`` in lower case."""
    return (host if host.endswith("]") else host.rpartition(":")[0] or host).lower()


def _is_local(name: str) -> bool:
    """Return true for an address, or a name that only the local network resolves.

    The owner of any other name can let it resolve to this server, and so send forms from pages of its own.
    """
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return bool(name) and ("." not in name or name.endswith(_LOCAL_NAMES))
    return True


def _to_sign_in(request: Request, error: Exception) -> Response:
    if not wants_page(request):
        return answer(request, 401, "UNAUTHORIZED", "Sign in first.")
    path = request.url.path
    if request.url.query:
        path += f"?{request.url.query}"
    location = f"/sign-in?next={quote(path, safe='')}" if request.method in _SAFE_METHODS else "/sign-in"
    if "hx-request" in request.headers:  # redirect the whole page, not the part that htmx requested
        return Response(status_code=204, headers={"HX-Redirect": "/sign-in"})
    return see_other(location)
