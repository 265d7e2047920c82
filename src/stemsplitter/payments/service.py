"""The rules of payments: what is offered, and that what was paid is granted, once."""

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
    """Purchases of packs through Stripe Checkout, where the operator has set a key of Stripe's."""

    def __init__(self, database: Database, settings: Settings, credits: CreditService) -> None:
        self._database, self._settings, self._credits = database, settings, credits
        self._stripe = stripe.Stripe(settings.stripe_secret_key, settings.stripe_api_base)
        self.enabled = bool(settings.stripe_secret_key) and settings.metering

    def packs(self) -> Sequence[Pack]:
        """What can be bought here: the packs that have a price."""
        return [pack for pack in parse_packs(self._settings.packs) if self.enabled and pack.price]

    @property
    def origin(self) -> str:
        """Where the pages are that take the money; Stripe's, but for tests."""
        base = self._settings.stripe_api_base
        parts = urlsplit(base)
        return stripe.CHECKOUT if base == stripe.API else f"{parts.scheme}://{parts.netloc}"

    def begin(self, account_id: str, minutes: int) -> str:
        """Where to pay for the pack of so many minutes. In transactions of its own.

        Raises:
            NotFound: there is no such pack, or nothing can be bought here.
            PaymentUnavailable: Stripe does not answer, or refuses.
        """
        pack = next((pack for pack in self.packs() if pack.minutes == minutes), None)
        if pack is None or pack.price is None:
            raise NotFound("There is no such pack here: choose one of those that are shown.")
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
                repository.give_up(session, payment.id)
            raise
        with self._database.write() as session:
            repository.record_checkout(session, payment.id, checkout.id)
        return checkout.url

    def payment(self, session: Session, account_id: str, payment_id: str) -> Payment:
        """The account's payment. Raises NotFound."""
        if found := repository.owned(session, account_id, payment_id):
            return found
        raise NotFound(f"There is no payment {payment_id}: check the id.")

    def take_event(self, body: bytes, signature: str) -> None:
        """Do what follows from a webhook of Stripe's, which may come late, twice and in any order.

        Raises:
            Unauthorized: it is not signed by Stripe.
            Conflict: what was paid is not what was asked for; nothing is granted.
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
                # another server's, on the same account of Stripe's: no failure, which Stripe would repeat for days
                _log.warning("Stripe tells of the payment %s, which is not of this server", event.payment_id)
            elif event.is_paid and event.kind in (stripe.COMPLETED, stripe.ASYNC_SUCCEEDED):
                self._settle(session, payment, event)
            elif payment.status in (OPEN, WAITING) and event.kind in _ENDS:
                payment.status, payment.updated_at = _ENDS[event.kind], now()

    def _settle(self, session: Session, payment: Payment, event: stripe.CheckoutEvent) -> None:
        """Grant what was paid for, unless that was done before."""
        asked = (
            payment.checkout_id or event.checkout_id,
            payment.amount,
            payment.currency,
            str(payment.credits),
        )
        if asked != (event.checkout_id, event.amount, event.currency, event.credits):
            _log.error("the payment %s is not what was asked for: %s", payment.id, event)
            raise Conflict(
                f"The payment {payment.id} differs from what was asked for: nothing was granted, look into it by hand."
            )
        if payment.status == PAID:
            return
        note = f"{payment.credits // 60:,} minutes, bought through Stripe"
        self._credits.purchase(session, payment.account_id, payment.credits, event.checkout_id, note)
        payment.status, payment.checkout_id, payment.updated_at = PAID, event.checkout_id, now()
        _log.info("the payment %s is paid", payment.id)
