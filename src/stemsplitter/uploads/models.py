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

    ``attempt`` counts the requests that began to send it; only the one of that number may finish, and only until
    ``receiving_until``, which it moves on as long as bytes come. So a request that died frees the reservation.

    ``kept`` is how many bytes of it are in the store in chunks, which wait for the others.

    ``storage_key`` is that of the file that was received. One that its client sent to the store itself has none: nobody
    knows of it until a split takes a copy, whose ``sha256`` is kept then.
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
