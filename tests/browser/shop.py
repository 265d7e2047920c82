"""Stand-ins: Stripe's checkout page and a webhook receiver."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

from stemsplitter.api.routes.stripe import PATH
from tests.loopback import Handler, listening
from tests.payments.checkout import Stripe, event, signature

_PAGE = b"""<!doctype html><html lang="en"><title>Checkout</title><link rel="icon" href="data:,">
<form method="post"><input name="card" value="4242"><button>Pay</button></form></html>"""


class Till(Stripe):
    """Stripe with a checkout page that notifies the server and redirects back."""

    def do_GET(self) -> None:
        self.reply(200, _PAGE, Content_Type="text/html")

    def do_POST(self) -> None:
        if not self.path.startswith("/pay/"):
            super().do_POST()
            return
        assert self.form() == {"card": "4242"}
        checkout = self.path.removeprefix("/pay/")
        asked = self.checkout.asked[int(checkout.rpartition("_")[2]) - 1]
        body = event(
            asked["metadata[payment]"],
            checkout=checkout,
            amount=int(asked["line_items[0][price_data][unit_amount]"]),
            credits=asked["metadata[credits]"],
        )
        shop = asked["cancel_url"].removesuffix("/credits")
        told = httpx2.post(
            f"{shop}{PATH}", content=body, headers={"Stripe-Signature": signature(body)}, timeout=60
        )
        assert told.status_code == 200, told.text
        self.reply(303, Location=asked["success_url"])


@contextmanager
def receiver() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Listen for webhooks. Yields the URL and the received bodies."""
    came: list[dict[str, Any]] = []

    class Receiver(Handler):
        def do_POST(self) -> None:
            came.append(json.loads(self.body()))
            self.reply(200, b"thanks")

    with listening(Receiver) as url:
        yield f"{url}/hook", came
