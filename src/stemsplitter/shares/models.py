"""Table of share links."""

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from stemsplitter.clock import now
from stemsplitter.database import Base, UtcDateTime, new_id


class ShareLink(Base):
    """A link that shows a split until it expires. The row is deleted when it is revoked.

    The token is stored as its SHA-256.
    """

    __tablename__ = "share_links"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=lambda: new_id("shr"))
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    split_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
