"""Client of the Stripe API: creates Checkout Sessions and reads webhook events about them.

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
CHECKOUT = "https://checkout.stripe.com"  # origin of the checkout pages
VERSION = "2025-03-31.basil"  # of the API, regardless of the account's default
SIGNATURE = "Stripe-Signature"
TIMEOUT_S = 15.0

COMPLETED = "checkout.session.completed"
ASYNC_SUCCEEDED = "checkout.session.async_payment_succeeded"
ASYNC_FAILED = "checkout.session.async_payment_failed"
EXPIRED = "checkout.session.expired"
KINDS = (COMPLETED, ASYNC_SUCCEEDED, ASYNC_FAILED, EXPIRED)

_log = logging.getLogger(__name__)


class PaymentUnavailable(ServiceError):
    """Stripe is unavailable, or refuses the request."""

    code = "PAYMENT_UNAVAILABLE"
    status = 503


@dataclass(frozen=True, slots=True)
class Checkout:
    """A Checkout Session: its id and the URL of its page."""

    id: str
    url: str


@dataclass(frozen=True, slots=True)
class CheckoutEvent:
    """A webhook event about a Checkout Session; ``amount`` is in the smallest unit of the currency."""

    kind: str
    checkout_id: str
    payment_id: str
    is_paid: bool
    amount: int | None
    currency: str | None
    credits: str


class Stripe:
    """Client of Stripe for the account of a secret key."""

    def __init__(self, secret_key: str, api_base: str = API) -> None:
        self._key, self._base = secret_key, api_base

    def create_checkout(self, payment: Payment, name: str, success_url: str, cancel_url: str) -> Checkout:
        """Create the Checkout Session of a payment. Idempotent.

        Raises:
            PaymentUnavailable: Stripe is unavailable or refuses the request.
        """
        form = {
            "mode": "payment",
            "client_reference_id": payment.id,
            # only the owner of the key can set this, while anybody can set the reference of a payment link
            "metadata[payment]": payment.id,
            "metadata[credits]": str(payment.credits),
            "line_items[0][quantity]": "1",
            "line_items[0][price_data][currency]": payment.currency,
            "line_items[0][price_data][unit_amount]": str(payment.amount),
            "line_items[0][price_data][product_data][name]": name,
            # the amount paid must be exactly the amount here
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
            _log.warning("Stripe is unavailable: %s", error)
            raise PaymentUnavailable(
                "The payment provider is unavailable: nothing was charged. Try again in a minute."
            ) from error
        return _checkout(response)


def read_event(body: bytes, signature: str, secret: str, at: datetime) -> CheckoutEvent | None:
    """Return the event of a webhook; None if it is not about a Checkout Session of this server.

    Raises:
        InvalidSignature: the signature is invalid or more than 300 seconds old.
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
        _log.warning("a signed event of Stripe has an unknown form")
        return None


def _checkout(response: httpx.Response) -> Checkout:
    try:
        answer = response.json()
        if response.is_success:
            return Checkout(id=str(answer["id"]), url=str(answer["url"]))
        refusal = answer["error"]
        _log.error(
            "Stripe refused with status %d: %s %s",
            response.status_code,
            refusal.get("code"),
            refusal.get("message"),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        _log.error("Stripe responded with status %d and an unknown body", response.status_code)
    raise PaymentUnavailable(
        "The payment provider refused the payment: nothing was charged. Contact the operator of this server."
    )
