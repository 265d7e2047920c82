"""A new password for those who forgot theirs, by a link that is sent to the address of the account."""

from fastapi import APIRouter, Request
from starlette.background import BackgroundTask
from starlette.responses import Response

from stemsplitter.accounts.passwords import hash_password
from stemsplitter.api.dependencies import ServicesDep, client_network
from stemsplitter.console.access import see_other
from stemsplitter.console.account import Text
from stemsplitter.console.cookies import set_cookie
from stemsplitter.console.rendering import page, render
from stemsplitter.languages import current, marked, using
from stemsplitter.languages import gettext as _
from stemsplitter.rate_limits.service import HOUR_S, Policy
from stemsplitter.service_errors import NotFound, ServiceError
from stemsplitter.services import Services

FROM_ADDRESS = Policy("password reset", 20, HOUR_S)
TO_ACCOUNT = Policy("password reset of one account", 3, HOUR_S)
SENT = marked(
    "If there is an account with this address, a link to set a new password is on its way. It works for an hour."
)

router = APIRouter()


@router.get("/reset")
def ask_page(request: Request, services: ServicesDep) -> Response:
    """Show the form that asks for the link."""
    return page(request, "reset.html", can_mail=services.mail.enabled, email="", done="", error="")


@router.post("/reset")
def ask(request: Request, services: ServicesDep, email: Text) -> Response:
    """Send a link. The response does not disclose if there is an account."""
    if not services.mail.enabled:
        raise NotFound("This server sends no mail: ask its operator for a sign-in link.")
    try:
        services.rate_limits.check(client_network(request), FROM_ADDRESS)
        services.rate_limits.check(f"reset {email.strip().lower()}", TO_ACCOUNT)
    except ServiceError as error:
        return page(
            request, "reset.html", status=error.status, can_mail=True, email=email, done="", error=str(error)
        )
    response = page(request, "reset.html", can_mail=True, email="", done=_(SENT), error="")
    response.background = BackgroundTask(_send, services, email)  # its duration would disclose the account
    return response


@router.get("/reset/{token}")
def reset_page(request: Request, services: ServicesDep, token: str) -> Response:
    """Show the form for the new password."""
    with services.database.read() as session:
        email = services.sessions.link_owner(session, token).email
    return page(request, "reset_password.html", email=email, error="")


@router.post("/reset/{token}")
def reset(request: Request, services: ServicesDep, token: str, new: Text) -> Response:
    """Set the password, end all sessions and links of the account, and sign in."""
    with services.database.read() as session:
        owner = services.sessions.link_owner(session, token)
    try:
        password_hash = hash_password(new)
    except ServiceError as error:
        return page(request, "reset_password.html", status=error.status, email=owner.email, error=str(error))
    with services.database.write() as session:
        services.sessions.use_link(session, token)
        services.accounts.set_password(session, owner.id, password_hash)
        services.sessions.end_all(session, owner.id)
        begun = services.sessions.begin(session, owner.id)
    response = see_other("/account?done=password")
    set_cookie(response, request, begun)
    return response


async def _send(services: Services, email: str) -> None:
    """Send a link to the account with that address, if there is one."""
    try:
        with services.database.write() as session:
            account = services.accounts.find_account(session, email) if "@" in email else None
            if account is None or account.disabled_at is not None:
                return
            url = f"{services.settings.base_url}/reset/{services.sessions.make_link(session, account.id)}"
            to, language = account.email, account.language or current()
    except NotFound:
        return
    text, html = (render(f"mail_reset.{kind}", language, url=url) for kind in ("txt", "html"))
    with using(language):
        subject = _("Set a new password")
    await services.mail.send(to, subject, text, html)
