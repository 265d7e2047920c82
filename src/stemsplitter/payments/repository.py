"""Queries of payments."""

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from stemsplitter.clock import now
from stemsplitter.payments.models import FAILED, OPEN, Payment


def find(session: Session, payment_id: str, *, lock: bool = False) -> Payment | None:
    """Return a payment, optionally locked until the transaction ends."""
    return session.get(Payment, payment_id, with_for_update=lock or None)


def owned(session: Session, account_id: str, payment_id: str) -> Payment | None:
    """Return a payment of the account."""
    query = select(Payment).where(Payment.id == payment_id, Payment.account_id == account_id)
    return session.scalar(query)


def record_checkout(session: Session, payment_id: str, checkout_id: str) -> None:
    """Record the Checkout Session of a payment."""
    new = update(Payment).where(Payment.id == payment_id, Payment.checkout_id.is_(None))
    session.execute(new.values(checkout_id=checkout_id))


def mark_failed(session: Session, payment_id: str) -> None:
    """Mark an open payment as failed."""
    open_payment = update(Payment).where(Payment.id == payment_id, Payment.status == OPEN)
    session.execute(open_payment.values(status=FAILED, updated_at=now()))
