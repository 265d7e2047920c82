"""Payments: the packs for sale, checkout, and credits for paid purchases."""

import logging
from collections.abc import Sequence
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from stemsplitter.clock import now
from stemsplitter.credit_packs import Pack, parse_packs, smallest_units
from stemsplitter.credits.service import CreditService
from stemsplitter.database import Database
from stemsplitter.payments import repository, stripe
from stemsplitter.payments.models import EXPIRED, FAILED, OPEN, PAID, WAITING, Payment
from stemsplitter.service_errors import Conflict, NotFound, Unauthorized
from stemsplitter.settings import Settings
from stemsplitter.webhooks.signatures import InvalidSignature

_ENDS = {stripe.COMPLETED: WAITING, stripe.ASYNC_FAILED: FAILED, stripe.EXPIRED: EXPIRED}

_log = logging.getLogger(__name__)


class PaymentService:
    """Sells credit packs through Stripe Checkout, if the operator has set a Stripe key."""

    def __init__(self, database: Database, settings: Settings, credits: CreditService) -> None:
        self._database, self._settings, self._credits = database, settings, credits
        self._stripe = stripe.Stripe(settings.stripe_secret_key, settings.stripe_api_base)
        self.enabled = bool(settings.stripe_secret_key) and settings.metering

    def packs(self) -> Sequence[Pack]:
        """Return the packs for sale: those with a price."""
        return [pack for pack in parse_packs(self._settings.packs) if self.enabled and pack.price]

    @property
    def origin(self) -> str:
        """The origin of the checkout pages: Stripe's, except in tests."""
        base = self._settings.stripe_api_base
        parts = urlsplit(base)
        return stripe.CHECKOUT if base == stripe.API else f"{parts.scheme}://{parts.netloc}"

    def start_checkout(self, account_id: str, minutes: int) -> str:
        """Create a payment for a pack and return the URL of its checkout page.

        Raises:
            NotFound: there is no such pack, or payments are disabled.
            PaymentUnavailable: Stripe is unavailable or refuses the payment.
        """
        pack = next((pack for pack in self.packs() if pack.minutes == minutes), None)
        if pack is None or pack.price is None:
            raise NotFound("There is no such pack: choose one from the list.")
        currency, base_url = self._settings.currency, self._settings.base_url
        payment = Payment(
            account_id=account_id,
            credits=pack.credits,
            amount=smallest_units(pack.price, currency),
            currency=currency,
        )
        with self._database.write() as session:
            session.add(payment)
        try:
            checkout = self._stripe.create_checkout(
                payment,
                name=f"Stem Splitter: {pack.minutes:,} minutes",
                success_url=f"{base_url}/credits?payment={payment.id}",
                cancel_url=f"{base_url}/credits",
            )
        except stripe.PaymentUnavailable:
            with self._database.write() as session:
                repository.mark_failed(session, payment.id)
            raise
        with self._database.write() as session:
            repository.record_checkout(session, payment.id, checkout.id)
        return checkout.url

    def payment(self, session: Session, account_id: str, payment_id: str) -> Payment:
        """Return a payment of the account. Raises NotFound."""
        if found := repository.owned(session, account_id, payment_id):
            return found
        raise NotFound(f"There is no payment {payment_id}: check the id.")

    def handle_event(self, body: bytes, signature: str) -> None:
        """Apply a webhook event of Stripe, which may arrive late, twice and in any order.

        Raises:
            Unauthorized: the signature is invalid.
            Conflict: the event does not match the payment; nothing is granted.
        """
        try:
            event = stripe.read_event(body, signature, self._settings.stripe_webhook_secret, now())
        except InvalidSignature as error:
            raise Unauthorized(str(error)) from error
        if event is None:
            return
        with self._database.write() as session:
            payment = repository.find(session, event.payment_id, lock=True)
            if payment is None:
                # of another server with the same Stripe account: an error would make Stripe retry for days
                _log.warning("Stripe event for the unknown payment %s", event.payment_id)
            elif event.is_paid and event.kind in (stripe.COMPLETED, stripe.ASYNC_SUCCEEDED):
                self._settle(session, payment, event)
            elif payment.status in (OPEN, WAITING) and event.kind in _ENDS:
                payment.status, payment.updated_at = _ENDS[event.kind], now()

    def _settle(self, session: Session, payment: Payment, event: stripe.CheckoutEvent) -> None:
        """Grant the credits of a payment, once."""
        expected = (
            payment.checkout_id or event.checkout_id,
            payment.amount,
            payment.currency,
            str(payment.credits),
        )
        if expected != (event.checkout_id, event.amount, event.currency, event.credits):
            _log.error("the event does not match the payment %s: %s", payment.id, event)
            raise Conflict(
                f"The event does not match the payment {payment.id}: nothing was granted, check it by hand."
            )
        if payment.status == PAID:
            return
        note = f"{payment.credits // 60:,} minutes, bought through Stripe"
        self._credits.purchase(session, payment.account_id, payment.credits, event.checkout_id, note)
        payment.status, payment.checkout_id, payment.updated_at = PAID, event.checkout_id, now()
        _log.info("payment %s is paid", payment.id)
