"""Sign-up, sign-in, sign-out and account settings."""

import hashlib
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Form, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from stemsplitter.api.dependencies import ServicesDep
from stemsplitter.console.access import COOKIE, SignedInDep, local_path, see_other, set_cookie
from stemsplitter.console.rendering import page
from stemsplitter.service_errors import RateLimited, ServiceError, Unauthorized
from stemsplitter.services import Services
from stemsplitter.sessions.service import SignedIn

# sign-in attempts per minute, by client address and by account
FROM_ONE_ADDRESS, TO_ONE_ACCOUNT = 20, 10
AFTER_SIGNING_UP = "/new"

Text = Annotated[str, Form(max_length=2000)]

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
        _throttle(request, services, email)
        with services.database.read() as session:
            account = services.accounts.verify_password(session, email, password)
    except (Unauthorized, RateLimited) as error:
        return page(
            request, "sign_in.html", status=error.status, next=next, email=email, error=_sentence(error)
        )
    return _signed_in(request, services, account.id, local_path(next))


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
        _throttle(request, services, email)
        account = services.accounts.sign_up(email, password)
    except ServiceError as error:
        return page(
            request, "sign_up.html", status=error.status, next=next, email=email, error=_sentence(error)
        )
    return _signed_in(request, services, account.id, local_path(next, AFTER_SIGNING_UP))


@router.get("/sign-in/link/{token}")
def link_page(request: Request, services: ServicesDep, token: str) -> Response:
    """Show the account of a sign-in link, and a button: opening the link alone does not use it."""
    with services.database.read() as session:
        email = services.sessions.link_owner(session, token).email
    return page(request, "sign_in_link.html", email=email)


@router.post("/sign-in/link/{token}")
def use_link(request: Request, services: ServicesDep, token: str) -> Response:
    """Use the link and create a session."""
    return _enter(request, services, lambda session: services.sessions.use_link(session, token), "/account")


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
        done={"password": "Password changed.", "email": "Email address changed."}.get(done, ""),
    )


@router.post("/account/password")
def change_password(
    request: Request, services: ServicesDep, signed_in: SignedInDep, new: Text, current: Text = ""
) -> Response:
    """Change the password and end all other sessions."""
    try:
        _throttle(request, services, signed_in.account.email)
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
    """Change the email address."""
    try:
        _throttle(request, services, signed_in.account.email)
        services.accounts.check_password(signed_in.account, current)
        with services.database.write() as session:
            services.accounts.set_email(session, signed_in.account.id, email)
    except ServiceError as error:
        return _account(request, error=error)
    return see_other("/account?done=email")


def _account(request: Request, *, done: str = "", error: ServiceError | None = None) -> Response:
    status = error.status if error else 200
    return page(request, "account.html", status=status, done=done, error=str(error) if error else "")


def _signed_in(request: Request, services: Services, account_id: str, path: str) -> Response:
    return _enter(request, services, lambda session: services.sessions.begin(session, account_id), path)


def _enter(request: Request, services: Services, begin: Callable[[Session], str], path: str) -> Response:
    """Create a session with ``begin``, end the previous one of the browser, and redirect to ``path``."""
    before: SignedIn | None = request.state.signed_in
    with services.database.write() as session:
        token = begin(session)
        if before is not None:
            services.sessions.end(session, before)
    response = see_other(path)
    set_cookie(response, request, token)
    return response


def _throttle(request: Request, services: Services, email: str) -> None:
    """Count an attempt that takes a password. Raises RateLimited."""
    address = request.client.host if request.client else ""
    account = hashlib.sha256(email.strip().lower().encode()).hexdigest()
    services.rate_limits.check(address, "sign-in", FROM_ONE_ADDRESS)
    services.rate_limits.check(account, "sign-in", TO_ONE_ACCOUNT)


def _sentence(error: ServiceError) -> str:
    text = str(error)
    return text if text.endswith(".") else f"{text}."
