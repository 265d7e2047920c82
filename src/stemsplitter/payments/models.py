"""Table of payments."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from stemsplitter.clock import now
from stemsplitter.database import Base, UtcDateTime, new_id

OPEN, WAITING, PAID, FAILED, EXPIRED = "open", "waiting", "paid", "failed", "expired"
STATUSES = (OPEN, WAITING, PAID, FAILED, EXPIRED)


class Payment(Base):
    """The purchase of a credit pack, at the price at the time.

    ``amount`` is in the smallest unit of the currency at Stripe. ``waiting`` is a purchase whose payment is pending,
    such as a bank transfer. Credits are granted in the transaction that sets ``paid``.
    """

    __tablename__ = "payments"
    __table_args__ = (
        CheckConstraint(f"status IN {STATUSES!r}", name="status"),
        CheckConstraint("credits > 0 AND amount > 0", name="amounts"),
        Index(None, "account_id", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=lambda: new_id("pay"))
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    status: Mapped[str] = mapped_column(String(16), default=OPEN)
    credits: Mapped[int] = mapped_column(BigInteger)
    amount: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    # the id of the Checkout Session, once Stripe has created it
    checkout_id: Mapped[str | None] = mapped_column(String(255), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
