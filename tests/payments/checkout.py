"""A stand-in for Stripe on this machine, and events signed as Stripe signs them."""

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

KEY, SECRET = "sk_test_made_up", "whsec_made_up"


class Checkout:
    """Answers requests for Checkout Sessions, and keeps what was asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.status = 200
        self.asked: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.body: bytes | None = None  # in place of the usual answer

    def answer(self, form: dict[str, str]) -> bytes:
        """What Stripe would."""
        number = f"cs_test_{len(self.asked)}"
        if self.body is not None:
            return self.body
        if self.status != 200:
            return json.dumps({"error": {"code": "amount_too_small", "message": "too small"}}).encode()
        return json.dumps(
            {"id": number, "url": f"{self.url}/pay/{number}", "payment_status": "unpaid"}
        ).encode()


class Handler(BaseHTTPRequestHandler):
    """Stripe's API, as far as it is used."""

    def do_POST(self) -> None:
        form = self.form()
        assert self.path == "/v1/checkout/sessions"
        self.checkout.asked.append(form)
        self.checkout.headers.append(dict(self.headers))
        self.answer(self.checkout.status, self.checkout.answer(form))

    @property
    def checkout(self) -> Checkout:
        """What is asked of this server."""
        return self.server.checkout  # type: ignore[attr-defined]

    def form(self) -> dict[str, str]:
        """The request's body."""
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        return {name: values[0] for name, values in parse_qs(text, strict_parsing=True).items()}

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        """Answer, with these headers, too."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def stand_in(handler: type[Handler] = Handler) -> Iterator[Checkout]:
    """It listens until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.checkout = Checkout(f"http://127.0.0.1:{server.server_port}")  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.checkout  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


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
    """The body of a webhook, by default of the payment for 50 minutes at 5.00 USD."""
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
    """The header Stripe-Signature."""
    unix = int(time.time() if at is None else at)
    return f"t={unix},v1={mac(body, secret, unix)},v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39"


def mac(body: bytes, secret: str, unix: int) -> str:
    return hmac.new(secret.encode(), b"%d.%b" % (unix, body), hashlib.sha256).hexdigest()
