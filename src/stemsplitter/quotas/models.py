"""Table of stored bytes."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from stemsplitter.database import Base, UtcDateTime


class StoredBytes(Base):
    """Bytes that an account occupies in the file storage with an upload, a split, or a derived file (``name``) of a
    split.

    While files are written, ``bytes`` is an upper bound of their size, then the size. ``expires_at`` is set if the
    files are to be deleted then, with the row.
    """

    __tablename__ = "stored_bytes"
    __table_args__ = (
        CheckConstraint("bytes >= 0", name="bytes"),
        # a covering index of the sum
        Index("ix_stored_bytes_account", "account_id", "bytes"),
        Index("ix_stored_bytes_expires_at", "expires_at"),
    )

    owner_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    bytes: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
