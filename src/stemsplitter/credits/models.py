"""Table of ledger entries."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from stemsplitter.clock import now
from stemsplitter.database import Base, UtcDateTime, new_id

_ENDED = text("kind IN ('settle', 'release')")
_PURCHASE = text("kind = 'purchase'")


class LedgerEntry(Base):
    """A change of a balance, never altered. One credit is one second of audio.

    Constraints refuse a second hold of a split, a split both settled and released, and an amount that does not fit
    its kind.
    """

    __tablename__ = "ledger_entries"
    __table_args__ = (
        CheckConstraint(
            "(kind = 'grant' AND split_id IS NULL)"
            " OR (kind = 'purchase' AND amount > 0 AND split_id IS NULL)"
            " OR (kind = 'hold' AND amount <= 0 AND split_id IS NOT NULL)"
            " OR (kind = 'settle' AND amount = 0 AND split_id IS NOT NULL)"
            " OR (kind = 'release' AND amount >= 0 AND split_id IS NOT NULL)",
            name="kind",
        ),
        # a test account has no ledger
        CheckConstraint("account_id NOT LIKE 'test!_%' ESCAPE '!'", name="live"),
        UniqueConstraint("split_id", "kind"),
        Index(
            "uq_ledger_entries_ended", "split_id", unique=True, sqlite_where=_ENDED, postgresql_where=_ENDED
        ),
        Index("ix_ledger_entries_history", "account_id", "created_at", "id"),
        Index(
            "ix_ledger_entries_purchases", "account_id", sqlite_where=_PURCHASE, postgresql_where=_PURCHASE
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("led"))
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    kind: Mapped[str]
    amount: Mapped[int] = mapped_column(BigInteger)
    # not a foreign key, as entries outlive the split
    split_id: Mapped[str | None]
    # the id of a purchase at the payment provider, or the owner of free credits, so that they count once
    reference: Mapped[str | None] = mapped_column(unique=True)
    note: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
