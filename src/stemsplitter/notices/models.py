"""Table of notices."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from stemsplitter.database import Base, UtcDateTime

DONE, LOW_CREDITS, ENDPOINT = "done", "low_credits", "endpoint"


class Notice(Base):
    """The notices of a kind for an account: what the next message reports, and when it is due.

    One row for all messages, so that an account never gets more than one in the pause between them. ``items`` are
    ``{"name", "path", "failed"}`` of splits or of disabled webhook endpoints, or empty for low credits. ``due_at`` is
    null if nothing is to be reported.
    """

    __tablename__ = "notices"

    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    items: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
