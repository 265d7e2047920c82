"""Table of uploads."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from stemsplitter.clock import now
from stemsplitter.database import Base, UtcDateTime, new_id

RESERVED, RECEIVING, RECEIVED, USED = "reserved", "receiving", "received", "used"
STATUSES = (RESERVED, RECEIVING, RECEIVED, USED)


class Upload(Base):
    """A file that an account may send, or has sent.

    ``attempt`` counts the requests that send it. Only the latest attempt may finish, and only until
    ``receiving_until``, which it extends while bytes arrive; when it dies, its lease expires.

    ``kept`` is the number of bytes received in chunks.

    ``storage_key`` is that of the received file. A file that its client sent directly to the storage has none; when a
    split copies it, ``sha256`` is that of the copy.
    """

    __tablename__ = "uploads"
    __table_args__ = (
        CheckConstraint(f"status IN {STATUSES!r}", name="status"),
        CheckConstraint("content_length > 0", name="content_length"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=lambda: new_id("upl"))
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    filename: Mapped[str] = mapped_column(Text)
    content_type: Mapped[str] = mapped_column(Text)
    content_length: Mapped[int] = mapped_column(BigInteger)
    token_hash: Mapped[str] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(16), default=RESERVED)
    attempt: Mapped[int] = mapped_column(default=0)
    receiving_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    storage_key: Mapped[str | None] = mapped_column(Text)
    sha256: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    received_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    kept: Mapped[int] = mapped_column(BigInteger, default=0, server_default=text("0"))
