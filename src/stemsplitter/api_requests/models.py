"""Table of requests."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from stemsplitter.database import Base, UtcDateTime, new_id


class ApiRequest(Base):
    """A request with an API key: its path as a template, without ids, and its duration in milliseconds."""

    __tablename__ = "api_requests"
    __table_args__ = (
        Index("ix_api_requests_account", "account_id", "at", "id"),
        Index("ix_api_requests_key", "key_id", "at", "id"),
        Index("ix_api_requests_at", "at"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=lambda: new_id("rq"))
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    # not a foreign key, as requests are written a little later, when the key may be gone
    key_id: Mapped[str] = mapped_column(String(32))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    method: Mapped[str] = mapped_column(String(16))
    path: Mapped[str] = mapped_column(String(128))
    status: Mapped[int]
    request_id: Mapped[str] = mapped_column(String(64))
    ms: Mapped[int]
