"""Table of splits."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from stemsplitter.audio.peaks import FILE_NAME
from stemsplitter.database import Base, UtcDateTime

QUEUED, PROCESSING, SUCCEEDED, FAILED = "queued", "processing", "succeeded", "failed"
STATUSES = (QUEUED, PROCESSING, SUCCEEDED, FAILED)
UNFINISHED = (QUEUED, PROCESSING)


class Split(Base):
    """A song to take apart, and what became of it.

    ``stems`` maps a stem's name to its ``{"key", "size", "mime"}``. ``lease`` names the run that may finish a split in
    processing: a run whose lease is no longer the row's has lost it (to a cancel, or to another worker) and changes
    nothing any more. ``attempts`` counts the runs that began. ``deleted_at`` tells that its files are gone.
    """

    __tablename__ = "splits"
    __table_args__ = (
        CheckConstraint(f"status IN {STATUSES!r}", name="status"),
        CheckConstraint("stem_model IN ('2s', '4s', '6s')", name="stem_model"),
        CheckConstraint("progress BETWEEN 0 AND 100", name="progress"),
        CheckConstraint("attempts >= 0", name="attempts"),
        Index(None, "account_id", "created_at", "id"),
        Index(None, "status", "updated_at"),
        Index(None, "expires_at"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    status: Mapped[str] = mapped_column(String(16), default=QUEUED)
    stem_model: Mapped[str] = mapped_column(String(8))
    requested_stems: Mapped[list[str]] = mapped_column(JSON)
    output_format: Mapped[str] = mapped_column(String(8))
    bit_depth: Mapped[str | None] = mapped_column(String(8))
    filename: Mapped[str] = mapped_column(Text)
    duration_seconds: Mapped[int]
    credits_used: Mapped[int]
    progress: Mapped[int] = mapped_column(default=0)
    source_key: Mapped[str] = mapped_column(Text)
    source_bytes: Mapped[int] = mapped_column(BigInteger)
    stems: Mapped[dict[str, dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))
    model: Mapped[dict[str, Any]] = mapped_column(JSON)
    processing: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    # "metadata" is a name that declarative classes have for themselves
    user_metadata: Mapped[dict[str, str]] = mapped_column("metadata", JSON)
    webhook_url: Mapped[str | None] = mapped_column(Text)
    error_code: Mapped[str | None] = mapped_column(String(32))
    error_message: Mapped[str | None] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(default=0)
    lease: Mapped[str | None] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # why it failed, where that was the server's fault: for its operator's eyes
    cause: Mapped[str | None] = mapped_column(Text)


def stems_folder(split_id: str) -> str:
    """Where a split's stems are stored."""
    return f"splits/{split_id}/stems"


def peaks_key(split_id: str) -> str:
    """Where it is stored what the stems' waveforms are drawn from."""
    return f"{stems_folder(split_id)}/{FILE_NAME}"


def mixes_folder(split_id: str) -> str:
    """Where mixes of its stems are stored for a while."""
    return f"splits/{split_id}/mixes"
