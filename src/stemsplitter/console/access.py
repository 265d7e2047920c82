"""Who a page is for, and that what a form sends comes from a page of ours."""

import hmac
import re
from typing import Annotated
from urllib.parse import quote, urlsplit

from fastapi import Depends, FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from stemsplitter.api.errors import answer
from stemsplitter.console.errors import wants_page
from stemsplitter.service_errors import NotFound, ServiceError
from stemsplitter.services import Services
from stemsplitter.sessions.service import LASTS, SignedIn

COOKIE = "session"
HOME = "/splits"  # where who has signed in begins
_READING = ("GET", "HEAD", "OPTIONS")
# browsers take a backslash for a slash, and leave tabs and line ends out: neither may be in it
_LOCAL = re.compile(r"/(?!/)[^\\\s\x00-\x1f]*")


class Forbidden(ServiceError):
    """What was sent does not come from a page that this server made for this session."""

    code = "FORBIDDEN"
    status = 403


class SignInNeeded(Exception):
    """The page is for people who are signed in."""


def install(app: FastAPI) -> None:
    """Send who must sign in to the page for it."""
    app.add_exception_handler(SignInNeeded, _to_sign_in)


async def guard(request: Request) -> None:
    """Find out who is signed in, and refuse what a page of another site sends. Every router of the console has it.

    A form of a signed-in page carries the session's token in its field ``csrf``, a script in the header
    ``X-CSRF-Token``. For the forms of who is not signed in, the browser's ``Origin`` tells.

    Raises:
        Forbidden: the token is not the session's, or the origin not this server.
    """
    token = request.cookies.get(COOKIE)
    services: Services = request.app.state.services
    signed_in = await run_in_threadpool(services.sessions.find, token) if token else None
    request.state.signed_in = signed_in
    if request.method in _READING:
        return
    if signed_in is None:
        if not _is_from_here(request):
            raise Forbidden("This form was not sent from a page of this server: open the page again.")
        return
    given = request.headers.get("x-csrf-token") or (await request.form()).get("csrf")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), signed_in.session.csrf.encode()):
        raise Forbidden("This page is older than your session: reload it, and try again.")


async def signed_in(request: Request, _: Annotated[None, Depends(guard)]) -> SignedIn:
    """Who is signed in.

    Raises:
        SignInNeeded: nobody is.
    """
    found = request.state.signed_in
    if found is None:
        raise SignInNeeded
    assert isinstance(found, SignedIn)
    return found


SignedInDep = Annotated[SignedIn, Depends(signed_in)]


async def operator(signed_in: SignedInDep) -> SignedIn:
    """Who is signed in and operates the server.

    Raises:
        NotFound: somebody else is: they are not told what there is.
        SignInNeeded: nobody is.
    """
    if signed_in.account.role != "operator":
        raise NotFound("There is nothing at this address.")
    return signed_in


OperatorDep = Annotated[SignedIn, Depends(operator)]


def local_path(wanted: str, otherwise: str = HOME) -> str:
    """Where to go after signing in: ``wanted`` where that is a path of this server, else ``otherwise``."""
    return wanted if _LOCAL.fullmatch(wanted) else otherwise


def see_other(path: str) -> RedirectResponse:
    """The answer to a form: go and look at ``path``."""
    return RedirectResponse(path, status_code=303)


def set_cookie(response: Response, request: Request, token: str) -> None:
    """Let the browser keep the session's token, out of reach for scripts and other sites' forms."""
    services: Services = request.app.state.services
    response.set_cookie(
        COOKIE,
        token,
        max_age=int(LASTS.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=services.settings.base_url.startswith("https://"),
    )


def _is_from_here(request: Request) -> bool:
    origin = request.headers.get("origin", "")
    services: Services = request.app.state.services
    own = {request.headers.get("host", ""), urlsplit(services.settings.base_url).netloc}
    return urlsplit(origin).netloc in own - {""}


def _to_sign_in(request: Request, error: Exception) -> Response:
    if not wants_page(request):
        return answer(request, 401, "UNAUTHORIZED", "Sign in first.")
    path = request.url.path
    if request.url.query:
        path += f"?{request.url.query}"
    location = f"/sign-in?next={quote(path, safe='')}" if request.method in _READING else "/sign-in"
    if "hx-request" in request.headers:  # the whole page is to go there, not the part that was asked for
        return Response(status_code=204, headers={"HX-Redirect": "/sign-in"})
    return see_other(location)
