"""Queries of payments."""

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from stemsplitter.clock import now
from stemsplitter.payments.models import FAILED, OPEN, Payment


def find(session: Session, payment_id: str, *, lock: bool = False) -> Payment | None:
    """The payment of that id; locked, nobody else changes it until this transaction ends."""
    return session.get(Payment, payment_id, with_for_update=lock or None)


def owned(session: Session, account_id: str, payment_id: str) -> Payment | None:
    """The account's payment of that id."""
    query = select(Payment).where(Payment.id == payment_id, Payment.account_id == account_id)
    return session.scalar(query)


def record_checkout(session: Session, payment_id: str, checkout_id: str) -> None:
    """Note which Checkout Session the payment is made in."""
    nameless = update(Payment).where(Payment.id == payment_id, Payment.checkout_id.is_(None))
    session.execute(nameless.values(checkout_id=checkout_id))


def give_up(session: Session, payment_id: str) -> None:
    """Say that nobody can pay this any more."""
    unpaid = update(Payment).where(Payment.id == payment_id, Payment.status == OPEN)
    session.execute(unpaid.values(status=FAILED, updated_at=now()))
