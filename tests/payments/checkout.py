"""A fake of Stripe on loopback, and events with signatures of Stripe."""

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs

from tests.loopback import Handler, listening

KEY, SECRET = "sk_test_made_up", "whsec_made_up"


class Checkout:
    """Responds to requests for Checkout Sessions and records them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.status = 200
        self.asked: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.body: bytes | None = None  # replaces the usual response

    def answer(self, form: dict[str, str]) -> bytes:
        """Return the response of Stripe."""
        number = f"cs_test_{len(self.asked)}"
        if self.body is not None:
            return self.body
        if self.status != 200:
            return json.dumps({"error": {"code": "amount_too_small", "message": "too small"}}).encode()
        return json.dumps(
            {"id": number, "url": f"{self.url}/pay/{number}", "payment_status": "unpaid"}
        ).encode()


class Stripe(Handler):
    """The part of the Stripe API that is used."""

    checkout: Checkout  # of this server

    def do_POST(self) -> None:
        form = self.form()
        assert self.path == "/v1/checkout/sessions"
        self.checkout.asked.append(form)
        self.checkout.headers.append(dict(self.headers))
        self.reply(self.checkout.status, self.checkout.answer(form))

    def form(self) -> dict[str, str]:
        """Read the body of the request."""
        found = parse_qs(self.body().decode(), strict_parsing=True)
        return {name: values[0] for name, values in found.items()}


@contextmanager
def stand_in(handler: type[Stripe] = Stripe) -> Iterator[Checkout]:
    """Run a server until the end of the block."""

    class Own(handler):  # type: ignore[misc, valid-type]
        pass

    with listening(Own) as url:
        Own.checkout = Checkout(url)
        yield Own.checkout


def event(
    payment: str,
    *,
    kind: str = "checkout.session.completed",
    checkout: str = "cs_test_1",
    status: str = "paid",
    amount: Any = 500,
    currency: Any = "usd",
    credits: Any = "3000",
) -> bytes:
    """Return the body of a webhook, by default for 50 minutes at 5.00 USD."""
    session = {
        "id": checkout,
        "object": "checkout.session",
        "payment_status": status,
        "amount_total": amount,
        "currency": currency,
        "metadata": {"payment": payment, "credits": credits},
    }
    return json.dumps({"id": "evt_1", "type": kind, "data": {"object": session}}).encode()


def signature(body: bytes, *, secret: str = SECRET, at: float | None = None) -> str:
    """Return the header Stripe-Signature."""
    unix = int(time.time() if at is None else at)
    return f"t={unix},v1={mac(body, secret, unix)},v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39"


def mac(body: bytes, secret: str, unix: int) -> str:
    return hmac.new(secret.encode(), b"%d.%b" % (unix, body), hashlib.sha256).hexdigest()
