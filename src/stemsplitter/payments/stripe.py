"""The little of Stripe's API that is needed: making a Checkout Session, and reading what Stripe tells of it.

https://docs.stripe.com/api/checkout/sessions/create, https://docs.stripe.com/webhooks
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from stemsplitter.payments.models import Payment
from stemsplitter.service_errors import ServiceError
from stemsplitter.webhooks.signatures import verify_timed

API = "https://api.stripe.com"
CHECKOUT = "https://checkout.stripe.com"  # where its pages are
VERSION = "2025-03-31.basil"  # of the API that is spoken here, whatever the account's own default is
SIGNATURE = "Stripe-Signature"
TIMEOUT_S = 15.0

COMPLETED = "checkout.session.completed"
ASYNC_SUCCEEDED = "checkout.session.async_payment_succeeded"
ASYNC_FAILED = "checkout.session.async_payment_failed"
EXPIRED = "checkout.session.expired"
KINDS = (COMPLETED, ASYNC_SUCCEEDED, ASYNC_FAILED, EXPIRED)

_log = logging.getLogger(__name__)


class PaymentUnavailable(ServiceError):
    """Stripe cannot be reached, or does not take what we ask for."""

    code = "PAYMENT_UNAVAILABLE"
    status = 503


@dataclass(frozen=True, slots=True)
class Checkout:
    """A Checkout Session: its number, and the page on which it is paid."""

    id: str
    url: str


@dataclass(frozen=True, slots=True)
class CheckoutEvent:
    """What Stripe tells of a Checkout Session of ours; ``amount`` is in the currency's smallest unit."""

    kind: str
    checkout_id: str
    payment_id: str
    is_paid: bool
    amount: int | None
    currency: str | None
    credits: str


class Stripe:
    """Stripe, for the account of a secret key."""

    def __init__(self, secret_key: str, api_base: str = API) -> None:
        self._key, self._base = secret_key, api_base

    def create_checkout(self, payment: Payment, name: str, success_url: str, cancel_url: str) -> Checkout:
        """Make the page on which ``payment`` is paid, once, however often this is asked.

        Raises:
            PaymentUnavailable: Stripe does not answer, or refuses.
        """
        form = {
            "mode": "payment",
            "client_reference_id": payment.id,
            # unlike the reference, which anybody can give a payment link, this comes from who has the key
            "metadata[payment]": payment.id,
            "metadata[credits]": str(payment.credits),
            "line_items[0][quantity]": "1",
            "line_items[0][price_data][currency]": payment.currency,
            "line_items[0][price_data][unit_amount]": str(payment.amount),
            "line_items[0][price_data][product_data][name]": name,
            # what is paid is what was asked for, to the cent
            "adaptive_pricing[enabled]": "false",
            "success_url": success_url,
            "cancel_url": cancel_url,
        }
        headers = {
            "Authorization": f"Bearer {self._key}",
            "Stripe-Version": VERSION,
            "Idempotency-Key": payment.id,
        }
        try:
            url = f"{self._base}/v1/checkout/sessions"
            response = httpx.post(url, data=form, headers=headers, timeout=TIMEOUT_S)
        except httpx.HTTPError as error:
            _log.warning("Stripe does not answer: %s", error)
            raise PaymentUnavailable(
                "Stripe does not answer: nothing was paid, try again in a minute."
            ) from error
        return _checkout(response)


def read_event(body: bytes, signature: str, secret: str, at: datetime) -> CheckoutEvent | None:
    """What a webhook of Stripe's tells; None where it is about something else than a checkout of ours.

    Raises:
        InvalidSignature: it does not come from Stripe, or is more than 300 seconds old.
    """
    verify_timed(SIGNATURE, body, signature, secret, at)
    try:
        event = json.loads(body)
        kind, checkout = event["type"], event["data"]["object"]
        metadata: Mapping[str, Any] = checkout.get("metadata") or {}
        if kind not in KINDS or "payment" not in metadata:
            return None
        return CheckoutEvent(
            kind=kind,
            checkout_id=checkout["id"],
            payment_id=str(metadata["payment"]),
            is_paid=checkout.get("payment_status") == "paid",
            amount=checkout.get("amount_total"),
            currency=checkout.get("currency"),
            credits=metadata.get("credits", ""),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        _log.warning("a signed event of Stripe's is not of the form that is known here")
        return None


def _checkout(response: httpx.Response) -> Checkout:
    try:
        answer = response.json()
        if response.is_success:
            return Checkout(id=str(answer["id"]), url=str(answer["url"]))
        told = answer["error"]
        _log.error(
            "Stripe refused with status %d: %s %s",
            response.status_code,
            told.get("code"),
            told.get("message"),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        _log.error("Stripe answered with status %d and no JSON that is known", response.status_code)
    raise PaymentUnavailable(
        "Stripe does not take this payment: nothing was paid, tell the operator of this server."
    )
