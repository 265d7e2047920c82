"""The account's credits: balance, usage, ledger and purchases."""

from typing import Annotated

from fastapi import APIRouter, Form, Path, Query, Request
from starlette.responses import Response

from stemsplitter.api.dependencies import ID, Cursor, ServicesDep
from stemsplitter.console.access import SignedInDep, see_other
from stemsplitter.console.headers import POLICY
from stemsplitter.console.plot import plot
from stemsplitter.console.rendering import page
from stemsplitter.credit_packs import parse_packs
from stemsplitter.payments.models import OPEN
from stemsplitter.rate_limits.service import Policy
from stemsplitter.service_errors import ServiceError
from stemsplitter.services import Services
from stemsplitter.sessions.service import SignedIn

PAGE = 25
DAYS = 30
PURCHASES = Policy("purchase", 10)  # each one calls Stripe
MAX_POLLS = 40  # by the page, of a payment that is not confirmed yet

router = APIRouter(prefix="/credits")


@router.get("")
def show(
    request: Request,
    services: ServicesDep,
    signed_in: SignedInDep,
    cursor: Cursor = None,
    payment: Annotated[str | None, Query(pattern=ID)] = None,
) -> Response:
    """Show balance, credit packs, usage and ledger. ``payment`` is the ID of a payment just made."""
    return _page(request, services, signed_in, cursor=cursor, payment_id=payment)


@router.post("/buy")
def buy(
    request: Request, services: ServicesDep, signed_in: SignedInDep, minutes: Annotated[int, Form()]
) -> Response:
    """Redirect to the checkout page for a credit pack."""
    try:
        services.rate_limits.check(signed_in.account.id, PURCHASES)
        url = services.payments.start_checkout(signed_in.account.id, minutes)
    except ServiceError as error:
        return _page(request, services, signed_in, error=error)
    return see_other(url)


@router.get("/payments/{payment_id}")
def show_payment(
    request: Request,
    services: ServicesDep,
    signed_in: SignedInDep,
    payment_id: Annotated[str, Path(pattern=ID)],
    polls: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """Show the status of a payment as a fragment; the page reloads when the status has changed."""
    with services.database.read() as session:
        payment = services.payments.payment(session, signed_in.account.id, payment_id)
    changed = {} if payment.status == OPEN else {"HX-Refresh": "true"}
    return page(request, "_payment.html", headers=changed, payment=payment, polls=_next(polls))


def _page(
    request: Request,
    services: Services,
    signed_in: SignedIn,
    *,
    cursor: str | None = None,
    payment_id: str | None = None,
    error: ServiceError | None = None,
) -> Response:
    account_id, payments = signed_in.account.id, services.payments
    with services.database.read() as session:
        balance = services.credits.balance(session, account_id)
        entries, after = services.credits.page(session, account_id, limit=PAGE, cursor=cursor)
        usage = services.credits.usage(session, account_id, DAYS)
        payment = payments.payment(session, account_id, payment_id) if payment_id else None
    there = services.splits.states(account_id, [entry.split_id for entry in entries if entry.split_id])
    # only this page may submit a form to the payment provider
    policy = POLICY.replace("form-action 'self'", f"form-action 'self' {payments.origin}")
    return page(
        request,
        "credits.html",
        status=error.status if error else 200,
        headers={"Content-Security-Policy": policy} if payments.enabled else {},
        balance=balance,
        entries=entries,
        there=there,
        cursor=cursor,
        after=after,
        usage=usage,
        plot=plot([spent for _, spent in usage]),
        packs=parse_packs(services.settings.packs),
        can_buy=payments.enabled,
        payment=payment,
        polls=_next(0),
        error=str(error) if error else "",
    )


def _next(polls: int) -> int | None:
    return polls + 1 if polls < MAX_POLLS else None
