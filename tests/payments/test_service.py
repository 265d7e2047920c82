import threading
from collections.abc import Sequence
from itertools import permutations

import pytest
from sqlalchemy import select

from stemsplitter.clock import now
from stemsplitter.credits.models import LedgerEntry
from stemsplitter.payments import service
from stemsplitter.payments.models import Payment
from stemsplitter.payments.stripe import (
    ASYNC_FAILED,
    ASYNC_SUCCEEDED,
    COMPLETED,
    EXPIRED,
    VERSION,
    PaymentUnavailable,
)
from stemsplitter.service_errors import Conflict, NotFound, Unauthorized
from stemsplitter.services import Services
from stemsplitter.settings import Settings
from tests.payments.checkout import KEY, SECRET, Checkout, event, mac, signature


def begin(services: Services, account_id: str) -> str:
    """Start the purchase of 50 minutes and return the id of the payment."""
    services.payments.start_checkout(account_id, 50)
    return payments(services)[-1].id


def payments(services: Services) -> Sequence[Payment]:
    with services.database.read() as session:
        return session.scalars(select(Payment).order_by(Payment.id)).all()


def take(services: Services, body: bytes) -> None:
    services.payments.handle_event(body, signature(body))


def balance(services: Services, account_id: str) -> int:
    with services.database.read() as session:
        return services.credits.balance(session, account_id)


def test_checkout_is_created_for_the_pack(services: Services, account_id: str, checkout: Checkout) -> None:
    assert services.payments.start_checkout(account_id, 50) == f"{checkout.url}/pay/cs_test_1"
    [payment] = payments(services)
    [asked], [headers] = checkout.asked, checkout.headers
    assert (payment.status, payment.credits, payment.amount, payment.currency) == ("open", 3000, 500, "usd")
    assert (payment.account_id, payment.checkout_id) == (account_id, "cs_test_1")
    assert asked == {
        "mode": "payment",
        "client_reference_id": payment.id,
        "metadata[payment]": payment.id,
        "metadata[credits]": "3000",
        "line_items[0][quantity]": "1",
        "line_items[0][price_data][currency]": "usd",
        "line_items[0][price_data][unit_amount]": "500",
        "line_items[0][price_data][product_data][name]": "Stem Splitter: 50 minutes",
        "adaptive_pricing[enabled]": "false",
        "success_url": f"http://127.0.0.1:8000/credits?payment={payment.id}",
        "cancel_url": "http://127.0.0.1:8000/credits",
    }
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert headers["Stripe-Version"] == VERSION
    assert headers["Idempotency-Key"] == payment.id


@pytest.mark.parametrize("minutes", [150, 51, 0, -50])
def test_only_packs_with_a_price_are_sold(
    services: Services, account_id: str, checkout: Checkout, minutes: int
) -> None:
    with pytest.raises(NotFound):
        services.payments.start_checkout(account_id, minutes)
    assert checkout.asked == [] and payments(services) == []


@pytest.mark.parametrize(
    ("status", "body"), [(400, None), (500, b"oops"), (200, b"{}"), (200, b"[]"), (302, b"")]
)
def test_refused_payment_is_marked_failed(
    services: Services, account_id: str, checkout: Checkout, status: int, body: bytes | None
) -> None:
    checkout.status, checkout.body = status, body
    with pytest.raises(PaymentUnavailable, match="nothing was charged"):
        services.payments.start_checkout(account_id, 50)
    assert [payment.status for payment in payments(services)] == ["failed"]


def test_unreachable_stripe_is_unavailable(services: Services, account_id: str) -> None:
    services.payments._stripe._base = "http://127.0.0.1:1"
    with pytest.raises(PaymentUnavailable, match="Try again"):
        services.payments.start_checkout(account_id, 50)


def test_paid_credits_are_granted_once(services: Services, account_id: str) -> None:
    payment = begin(services, account_id)
    assert balance(services, account_id) == 0
    for _ in range(3):
        take(services, event(payment))
    assert balance(services, account_id) == 3000
    [row] = payments(services)
    assert row.status == "paid"
    with services.database.read() as session:
        [entry] = session.scalars(select(LedgerEntry)).all()
        assert services.credits.audit(session) == []
    assert (entry.kind, entry.amount, entry.reference) == ("purchase", 3000, "cs_test_1")
    assert entry.note == "50 minutes, bought through Stripe"


def test_concurrent_events_grant_once(services: Services, account_id: str) -> None:
    payment = begin(services, account_id)
    start = threading.Barrier(4)

    def tell() -> None:
        start.wait(60)
        take(services, event(payment))

    threads = [threading.Thread(target=tell) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert balance(services, account_id) == 3000


def test_delayed_payment_is_granted_in_any_order_of_events(services: Services, account_id: str) -> None:
    """With a bank transfer, the checkout is completed unpaid and the payment succeeds days later."""
    for bought, order in enumerate(permutations((COMPLETED, ASYNC_SUCCEEDED, EXPIRED)), start=1):
        payment = begin(services, account_id)
        for kind in (*order, *order):
            status = "paid" if kind == ASYNC_SUCCEEDED else "unpaid"
            take(services, event(payment, kind=kind, status=status, checkout=f"cs_test_{bought}"))
        assert balance(services, account_id) == 3000 * bought, order
        assert payments(services)[-1].status == "paid"


@pytest.mark.parametrize(
    ("kinds", "becomes"),
    [
        ([COMPLETED], "waiting"),
        ([COMPLETED, ASYNC_FAILED], "failed"),
        ([ASYNC_FAILED, COMPLETED], "failed"),
        ([EXPIRED], "expired"),
        ([EXPIRED, ASYNC_FAILED], "expired"),
    ],
)
def test_unpaid_payment_is_not_granted(
    services: Services, account_id: str, kinds: list[str], becomes: str
) -> None:
    payment = begin(services, account_id)
    for kind in kinds:
        take(services, event(payment, kind=kind, status="unpaid"))
    assert [row.status for row in payments(services)] == [becomes]
    assert balance(services, account_id) == 0


@pytest.mark.parametrize("kind", [ASYNC_FAILED, EXPIRED, "checkout.session.unheard_of"])
def test_paid_counts_only_in_completion_events(services: Services, account_id: str, kind: str) -> None:
    take(services, event(begin(services, account_id), kind=kind, status="paid"))
    assert balance(services, account_id) == 0


def test_paid_payment_stays_paid(services: Services, account_id: str) -> None:
    payment = begin(services, account_id)
    take(services, event(payment))
    for kind in (COMPLETED, ASYNC_FAILED, EXPIRED):
        take(services, event(payment, kind=kind, status="unpaid"))
    assert [row.status for row in payments(services)] == ["paid"]
    assert balance(services, account_id) == 3000


@pytest.mark.parametrize(
    "other",
    [
        {"amount": 499}, {"amount": "500"}, {"amount": None}, {"currency": "jpy"}, {"currency": None},
        {"credits": "30000"}, {"credits": ""}, {"checkout": "cs_test_2"},
    ],
    ids=str,
)  # fmt: skip
def test_mismatched_event_is_not_granted(services: Services, account_id: str, other: dict[str, str]) -> None:
    payment = begin(services, account_id)
    with pytest.raises(Conflict, match=payment):
        take(services, event(payment, **other))
    assert balance(services, account_id) == 0
    assert [row.status for row in payments(services)] == ["open"]
    take(services, event(payment))
    assert balance(services, account_id) == 3000
    with pytest.raises(Conflict):  # again after the grant
        take(services, event(payment, **other))
    assert balance(services, account_id) == 3000


def test_session_whose_id_was_lost_is_granted(services: Services, account_id: str) -> None:
    """The server died between the response of Stripe and its commit."""
    payment = begin(services, account_id)
    with services.database.write() as session:
        session.get_one(Payment, payment).checkout_id = None
    take(services, event(payment, checkout="cs_test_lost"))
    assert balance(services, account_id) == 3000
    assert [row.checkout_id for row in payments(services)] == ["cs_test_lost"]


def test_session_pays_for_one_payment(services: Services, account_id: str) -> None:
    first, second = begin(services, account_id), begin(services, account_id)
    take(services, event(first))
    with pytest.raises(Conflict):
        take(services, event(second, checkout="cs_test_1"))
    assert balance(services, account_id) == 3000


@pytest.mark.parametrize(
    "body",
    [
        event("pay_of_another_server"),
        b'{"type": "charge.succeeded", "data": {"object": {}}}',
        b'{"type": "checkout.session.completed", "data": {"object": {"metadata": null}}}',
        b'{"type": "checkout.session.completed", "data": {"object": {"metadata": {"payment": "pay_1"}}}}',
        b'{"type": "checkout.session.completed", "data": null}',
        b"[]",
        b"not JSON",
    ],
)
def test_events_of_other_servers_are_ignored(services: Services, account_id: str, body: bytes) -> None:
    """An error would make Stripe retry for days."""
    begin(services, account_id)
    take(services, body)
    assert balance(services, account_id) == 0


class TestSignatures:
    """Signatures of webhook events, with a stopped clock."""

    @pytest.fixture(autouse=True)
    def unix(self, monkeypatch: pytest.MonkeyPatch) -> int:
        at = now().replace(microsecond=0)
        monkeypatch.setattr(service, "now", lambda: at)
        return int(at.timestamp())

    @pytest.fixture
    def body(self, services: Services, account_id: str) -> bytes:
        return event(begin(services, account_id))

    @pytest.mark.parametrize("age", [-299, 0, 299])
    def test_valid_signature_is_accepted(
        self, services: Services, account_id: str, body: bytes, unix: int, age: int
    ) -> None:
        services.payments.handle_event(body, signature(body, at=unix - age))
        assert balance(services, account_id) == 3000

    def test_one_of_several_signatures_is_enough(
        self, services: Services, account_id: str, body: bytes, unix: int
    ) -> None:
        header = f"t={unix},v1={mac(body, 'whsec_other', unix)},v1={mac(body, SECRET, unix)}"
        services.payments.handle_event(body, header)
        assert balance(services, account_id) == 3000

    def test_other_signatures_are_refused(
        self, services: Services, account_id: str, body: bytes, unix: int
    ) -> None:
        right = mac(body, SECRET, unix)
        for header in (
            "",
            "t=,v1=",
            f"v1={right}",
            f"t={unix}",
            f"t={unix},v1=",
            f"t={unix + 1},v1={right}",
            f"t={unix},v0={right}",
            f"t={unix},t={unix},v1={right}",
            f"t={unix},v1={right[:-1]}é",
            signature(body, secret="whsec_other", at=unix),
            signature(body + b" ", at=unix),
            signature(body, at=unix - 301),
            signature(body, at=unix + 301),
        ):
            with pytest.raises(Unauthorized):
                services.payments.handle_event(body, header)
        assert balance(services, account_id) == 0


def test_payments_are_disabled_without_a_key_or_metering(services: Services) -> None:
    from stemsplitter.payments.service import PaymentService

    for settings in (
        Settings(packs="50=5.00"),
        Settings(packs="50=5.00", metering=False, stripe_secret_key=KEY, stripe_webhook_secret=SECRET),
    ):
        service = PaymentService(services.database, settings, services.credits)
        assert not service.enabled and service.packs() == []
        assert service.origin == "https://checkout.stripe.com"
