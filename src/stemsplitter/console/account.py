"""Sign-up, sign-in, sign-out and account settings."""

import hashlib
import hmac
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from stemsplitter.accounts.models import Account
from stemsplitter.accounts.secret_box import derive_key
from stemsplitter.api.dependencies import ServicesDep, client_network
from stemsplitter.console.access import SignedInDep, local_path, see_other
from stemsplitter.console.cookies import COOKIE, set_cookie
from stemsplitter.console.rendering import page
from stemsplitter.console.verify import send_link
from stemsplitter.credits.service import LOW_BALANCE
from stemsplitter.languages import current, marked
from stemsplitter.languages import gettext as _
from stemsplitter.rate_limits.service import DAY_S, Policy, wide_network
from stemsplitter.service_errors import RateLimited, ServiceError, Unauthorized
from stemsplitter.services import Services
from stemsplitter.sessions.service import SignedIn

# attempts with a password: of an address, of an address to one account, and of all unknown browsers to one account
FROM_ADDRESS = Policy("sign-in", 20)
FROM_ADDRESS_TO_ACCOUNT = Policy("sign-in to one account", 10)
TO_ACCOUNT = Policy("sign-in from new browsers", 100)
NETWORK_SIGN_UPS = 5  # times as many as from one address, of a /24 or an IPv6 /48
KNOWN_BROWSER = "known"
KNOWN_FOR = timedelta(days=365)
AFTER_SIGNING_UP = "/new"

Text = Annotated[str, Form(max_length=2000)]

_DONE = {
    "password": marked("Password changed."),
    "email": marked("Email address changed."),
    "messages": marked("Your choice is saved."),
    "sent": marked("A link is on its way. It works for a day."),
    "new-address": marked("A link is on its way to the new address. Your address changes when you open it."),
}

router = APIRouter()


@router.get("/sign-in")
def sign_in_page(request: Request, next: str = "") -> Response:
    """Show the sign-in form."""
    if request.state.signed_in:
        return see_other(local_path(next))
    return page(request, "sign_in.html", next=next, email="", error="")


@router.post("/sign-in")
def sign_in(
    request: Request, services: ServicesDep, email: Text, password: Text, next: Text = ""
) -> Response:
    """Create a session and redirect to the requested page."""
    try:
        throttle(request, services, email)
        with services.database.read() as session:
            account = services.accounts.verify_password(session, email, password)
    except (Unauthorized, RateLimited) as error:
        return page(
            request, "sign_in.html", status=error.status, next=next, email=email, error=_sentence(error)
        )
    return _signed_in(request, services, account, local_path(next))


@router.get("/sign-up")
def sign_up_page(request: Request, next: str = "") -> Response:
    """Show the sign-up form."""
    if request.state.signed_in:
        return see_other(local_path(next, AFTER_SIGNING_UP))
    return page(request, "sign_up.html", next=next, email="", error="")


@router.post("/sign-up")
def sign_up(
    request: Request, services: ServicesDep, email: Text, password: Text, next: Text = ""
) -> Response:
    """Create an account and a session."""
    try:
        throttle(request, services, email)
        sign_ups = Policy("sign-up", services.settings.signups_per_day, DAY_S)
        services.rate_limits.check(client_network(request), sign_ups)
        address = request.client.host if request.client else ""
        of_network = Policy("sign-up from one network", NETWORK_SIGN_UPS * sign_ups.limit, DAY_S)
        services.rate_limits.check(wide_network(address), of_network)
        account = services.accounts.sign_up(
            email, password, verifies=services.mail.enabled, language=current()
        )
    except ServiceError as error:
        return page(
            request, "sign_up.html", status=error.status, next=next, email=email, error=_sentence(error)
        )
    response = _signed_in(request, services, account, local_path(next, AFTER_SIGNING_UP))
    if services.mail.enabled:
        with suppress(RateLimited):  # the pages offer to send another link
            response.background = send_link(request, services, account.id, account.email)
    return response


@router.get("/sign-in/link/{token}")
def link_page(request: Request, services: ServicesDep, token: str) -> Response:
    """Show the account of a sign-in link, and a button: opening the link alone does not use it."""
    with services.database.read() as session:
        email = services.sessions.link_owner(session, token).email
    return page(request, "sign_in_link.html", email=email)


@router.post("/sign-in/link/{token}")
def use_link(request: Request, services: ServicesDep, token: str) -> Response:
    """Use the link and create a session."""
    with services.database.read() as session:
        email = services.sessions.link_owner(session, token).email
    return _enter(
        request, services, email, lambda session: services.sessions.use_link(session, token), "/account"
    )


@router.post("/sign-out")
def sign_out(services: ServicesDep, signed_in: SignedInDep) -> Response:
    """End the session."""
    with services.database.write() as session:
        services.sessions.end(session, signed_in)
    response = see_other("/")
    response.delete_cookie(COOKIE)
    return response


@router.get("/account")
def account_page(request: Request, signed_in: SignedInDep, done: str = "") -> Response:
    """Show the account settings."""
    return _account(
        request,
        done=_(_DONE[done]) if done in _DONE else "",
    )


@router.post("/account/password")
def change_password(
    request: Request, services: ServicesDep, signed_in: SignedInDep, new: Text, current: Text = ""
) -> Response:
    """Change the password and end all other sessions."""
    try:
        throttle(request, services, signed_in.account.email)
        password_hash = services.accounts.checked_new_password(signed_in.account, current, new)
    except ServiceError as error:
        return _account(request, error=error)
    with services.database.write() as session:
        services.accounts.set_password(session, signed_in.account.id, password_hash)
        services.sessions.end_others(session, signed_in)
    return see_other("/account?done=password")


@router.post("/account/email")
def change_email(
    request: Request,
    services: ServicesDep,
    signed_in: SignedInDep,
    email: Text,
    current: Annotated[str, Form(alias="email-current", max_length=2000)] = "",
) -> Response:
    """Change the email address: at once, or when the link that is sent to the new one is opened."""
    try:
        throttle(request, services, signed_in.account.email)
        services.accounts.check_password(signed_in.account, current)
        if services.mail.enabled:
            response = see_other("/account?done=new-address")
            response.background = send_link(request, services, signed_in.account.id, email)
            return response
        with services.database.write() as session:
            services.accounts.set_email(session, signed_in.account.id, email)
    except ServiceError as error:
        return _account(request, error=error)
    return see_other("/account?done=email")


@router.post("/account/messages")
def choose_messages(
    services: ServicesDep, signed_in: SignedInDep, done: Text = "", low_credits: Text = ""
) -> Response:
    """Choose which messages the account gets."""
    with services.database.write() as session:
        services.accounts.choose_messages(
            session, signed_in.account.id, done=bool(done), low_credits=bool(low_credits)
        )
    return see_other("/account?done=messages")


def _account(request: Request, *, done: str = "", error: ServiceError | None = None) -> Response:
    status = error.status if error else 200
    return page(
        request,
        "account.html",
        status=status,
        done=done,
        error=str(error) if error else "",
        low_balance=LOW_BALANCE,
    )


def _signed_in(request: Request, services: Services, account: Account, path: str) -> Response:
    return _enter(
        request, services, account.email, lambda session: services.sessions.begin(session, account.id), path
    )


def _enter(
    request: Request, services: Services, email: str, begin: Callable[[Session], str], path: str
) -> Response:
    """Create a session with ``begin``, end the previous one of the browser, and redirect to ``path``."""
    before: SignedIn | None = request.state.signed_in
    with services.database.write() as session:
        token = begin(session)
        if before is not None:
            services.sessions.end(session, before)
    response = see_other(path)
    set_cookie(response, request, token)
    set_cookie(response, request, _mark(services, email), name=KNOWN_BROWSER, lasts=KNOWN_FOR)
    return response


def throttle(request: Request, services: Services, email: str) -> None:
    """Count an attempt that takes a password.

    Attempts of others do not lock the owner out: a browser that was signed in to the account has its own count.

    Raises:
        RateLimited: too many attempts.
    """
    client, account = client_network(request), _digest(email)
    limits = services.rate_limits
    limits.check(client, FROM_ADDRESS)
    if hmac.compare_digest(request.cookies.get(KNOWN_BROWSER, "").encode(), _mark(services, email).encode()):
        limits.check(f"known {account}", FROM_ADDRESS_TO_ACCOUNT)
    else:
        limits.check(_digest(f"{client} {account}"), FROM_ADDRESS_TO_ACCOUNT)
        limits.check(account, TO_ACCOUNT)


def _digest(text: str) -> str:
    return hashlib.sha256(text.strip().lower().encode()).hexdigest()[:40]


def _mark(services: Services, email: str) -> str:
    """Return the value of the cookie that marks a browser as one in which the account was signed in."""
    key = derive_key(services.secret, "known browsers")
    return hmac.new(key, _digest(email).encode(), "sha256").hexdigest()


def _sentence(error: ServiceError) -> str:
    text = str(error)
    return text if text.endswith(".") else f"{text}."
