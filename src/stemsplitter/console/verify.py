"""Verification of the address of an account, by a link that is sent to it."""

from fastapi import APIRouter, Request
from starlette.background import BackgroundTask
from starlette.responses import Response

from stemsplitter.accounts.service import checked_email
from stemsplitter.api.dependencies import ServicesDep, client_network
from stemsplitter.console.access import SignedInDep, see_other
from stemsplitter.console.rendering import page, render
from stemsplitter.languages import current
from stemsplitter.languages import gettext as _
from stemsplitter.rate_limits.service import HOUR_S, Policy
from stemsplitter.service_errors import NotFound
from stemsplitter.services import Services

FROM_ADDRESS = Policy("verification link", 20, HOUR_S)
OF_ACCOUNT = Policy("verification link of one account", 5, HOUR_S)

router = APIRouter()


@router.post("/account/verify")
def send_again(request: Request, services: ServicesDep, signed_in: SignedInDep) -> Response:
    """Send another link to the account's address."""
    account = signed_in.account
    if not services.mail.enabled or account.verified_at is not None:
        raise NotFound("The address of this account needs no verification.")
    response = see_other("/account?done=sent")
    response.background = send_link(request, services, account.id, account.email)
    return response


@router.get("/verify/{token}")
def verify_page(request: Request, services: ServicesDep, token: str) -> Response:
    """Show the address of a link, and a button: opening the link alone does not use it."""
    with services.database.read() as session:
        account, email = services.address_proofs.find(session, token)
    return page(request, "verify.html", email=email, is_first=account.verified_at is None, done=False)


@router.post("/verify/{token}")
def verify(request: Request, services: ServicesDep, token: str) -> Response:
    """Use the link."""
    with services.database.write() as session:
        account, email = services.address_proofs.find(session, token)
        is_first = account.verified_at is None
        services.address_proofs.use(session, token)
    return page(request, "verify.html", email=email, is_first=is_first, done=True)


def send_link(request: Request, services: Services, account_id: str, email: str) -> BackgroundTask:
    """Create a link, and return the task that sends it to ``email``.

    Raises:
        RateLimited: too many links were sent.
        ValidationFailed, Conflict: the account cannot have the address.
    """
    services.rate_limits.check(client_network(request), FROM_ADDRESS)
    services.rate_limits.check(f"verify {account_id}", OF_ACCOUNT)
    with services.database.write() as session:
        token = services.address_proofs.make_link(session, account_id, email)
    url = f"{services.settings.base_url}/verify/{token}"
    text, html = (render(f"mail_verify.{kind}", current(), url=url) for kind in ("txt", "html"))
    return BackgroundTask(
        services.mail.send, checked_email(email), _("Confirm your email address"), text, html
    )
