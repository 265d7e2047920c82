"""Tables of webhooks: saved endpoints, events, their deliveries, and each delivery's attempts."""

from datetime import datetime
from typing import Literal

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from stemsplitter.database import Base, UtcDateTime

JOBS = ("split", "analysis", "effect", "speech")
COMPLETED = {job: f"audio.{job}.completed" for job in JOBS}
FAILED = {job: f"audio.{job}.failed" for job in JOBS}
TEST = "webhook.test"
JOB_KINDS = (*COMPLETED.values(), *FAILED.values())
KINDS = (*JOB_KINDS, TEST)
ALL = "*"  # every event of jobs, those of later versions too

DeliveryStatus = Literal["pending", "delivered", "failed", "gone"]

_PENDING = text("status = 'pending'")


class WebhookEndpoint(Base):
    """A saved URL that gets events of the account's jobs. ``events`` are of :data:`JOB_KINDS`, or :data:`ALL` alone.

    ``failing_since`` is the time of the first failed attempt since the last success. ``disabled_reason`` is set if the
    server disabled it.
    """

    __tablename__ = "webhook_endpoints"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    url: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    events: Mapped[list[str]] = mapped_column(JSON)
    failing_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    disabled_reason: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)

    def gets(self, kind: str) -> bool:
        """Return true if an event of this kind is sent to it."""
        return self.disabled_at is None and (kind in self.events or ALL in self.events)


class WebhookEvent(Base):
    """An event. Its id and its body are the same in every delivery.

    ``payload`` is the raw body, in a text column: a JSON column may reorder it, and it is signed byte for byte.
    """

    __tablename__ = "webhook_events"
    __table_args__ = (
        UniqueConstraint("split_id", "kind"),
        CheckConstraint(f"kind IN {KINDS!r}", name="kind"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    # the id of any job; no foreign key: the log may outlive the job
    split_id: Mapped[str | None] = mapped_column(String(32))
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    kind: Mapped[str] = mapped_column(String(32))
    payload: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    # W3C traceparent of the trace that it belongs to
    trace: Mapped[str | None] = mapped_column(String(64))


class WebhookDelivery(Base):
    """The delivery of an event to a URL, in up to a day of attempts. A replay is another delivery.

    A pending row is an entry of the queue: ``next_attempt_at`` is the time from which a worker may claim it or, while
    it is claimed, the end of the lease. ``endpoint_id`` is the saved endpoint, or null if a request gave the URL. It
    has no foreign key: the log may outlive the endpoint.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        CheckConstraint("status IN ('pending', 'delivered', 'failed', 'gone')", name="status"),
        CheckConstraint("attempts >= 0", name="attempts"),
        Index(None, "account_id", "created_at", "id"),
        # finds due deliveries, and the oldest of each account, among the pending rows only
        Index(
            "ix_webhook_deliveries_due",
            "next_attempt_at",
            sqlite_where=_PENDING,
            postgresql_where=_PENDING,
        ),
        Index(
            "ix_webhook_deliveries_waiting",
            "account_id",
            "next_attempt_at",
            "id",
            sqlite_where=_PENDING,
            postgresql_where=_PENDING,
        ),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    event_id: Mapped[str] = mapped_column(ForeignKey("webhook_events.id", ondelete="CASCADE"), index=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    url: Mapped[str] = mapped_column(Text)
    endpoint_id: Mapped[str | None] = mapped_column(String(32), index=True)
    status: Mapped[DeliveryStatus] = mapped_column(String(16))
    attempts: Mapped[int]
    next_attempt_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_status: Mapped[int | None]
    last_error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)

    event: Mapped[WebhookEvent] = relationship(lazy="joined", innerjoin=True)


class WebhookAttempt(Base):
    """One POST, with ``status_code`` if the receiver responded, else ``error``."""

    __tablename__ = "webhook_attempts"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    delivery_id: Mapped[str] = mapped_column(
        ForeignKey("webhook_deliveries.id", ondelete="CASCADE"), index=True
    )
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    status_code: Mapped[int | None]
    error: Mapped[str | None] = mapped_column(Text)
    duration_ms: Mapped[int]
    response_excerpt: Mapped[str | None] = mapped_column(Text)
