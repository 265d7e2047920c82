"""Tables of splits and their queue."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    SmallInteger,
    String,
    Text,
    bindparam,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from stemsplitter.audio.peaks import FILE_NAME, OVERVIEW_NAME
from stemsplitter.database import Base, UtcDateTime

QUEUED, PROCESSING, SUCCEEDED, FAILED = "queued", "processing", "succeeded", "failed"
STATUSES = (QUEUED, PROCESSING, SUCCEEDED, FAILED)
UNFINISHED = (QUEUED, PROCESSING)
PAYING, FREE = 0, 1


def _index(name: str, *columns: str, where: str) -> Index:
    condition = text(where)
    return Index(f"ix_splits_{name}", *columns, sqlite_where=condition, postgresql_where=condition)


class Split(Base):
    """The separation of a song.

    ``stems`` maps a stem's name to its ``{"key", "size", "mime"}``, ``masters`` to that of its lossless file and the
    ``peak`` of its samples; one file may be both. ``levels`` maps it to ``{"loudness", "truePeak", "silent"}``, once
    the stems are measured. ``instruments`` maps each of the six stems to the probability that the song has it, 1 or 0;
    it is null unless the request lists them. ``model`` has the model's name and license, the ``quality`` if the request
    names one, and later ``vocalsFrom``.

    ``lease`` identifies the run that may change the split while it is processing, and ``worker_id`` its worker. A run
    whose lease is no longer in the row has lost the split, because it was canceled or requeued. ``attempts`` counts the
    runs. ``deleted_at`` is set when the files are deleted.

    ``model_name``, ``priority`` (PAYING before FREE) and ``turn`` are the split's place in the queue
    (:mod:`stemsplitter.splits.queue`).
    """

    __tablename__ = "splits"
    __table_args__ = (
        CheckConstraint(f"status IN {STATUSES!r}", name="status"),
        CheckConstraint("stem_model IN ('2s', '4s', '6s')", name="stem_model"),
        CheckConstraint("progress BETWEEN 0 AND 100", name="progress"),
        CheckConstraint("attempts >= 0", name="attempts"),
        # partial: most rows are splits that have ended
        _index("queued", "model_name", "priority", "turn", "id", "account_id", where="status = 'queued'"),
        _index("processing", "worker_id", where="status = 'processing'"),
        _index("unfinished", "account_id", where="status IN ('queued', 'processing')"),
        _index("finished", "status", "finished_at", "id", where="finished_at IS NOT NULL"),
        _index("kept", "account_id", "created_at", "id", where="deleted_at IS NULL"),
        _index("kept_by_status", "account_id", "status", "created_at", "id", where="deleted_at IS NULL"),
        _index("expiring", "expires_at", where="deleted_at IS NULL"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    status: Mapped[str] = mapped_column(String(16), default=QUEUED)
    stem_model: Mapped[str] = mapped_column(String(8))
    requested_stems: Mapped[list[str]] = mapped_column(JSON)
    instruments: Mapped[dict[str, float] | None] = mapped_column(JSON(none_as_null=True))
    output_format: Mapped[str] = mapped_column(String(8))
    bit_depth: Mapped[str | None] = mapped_column(String(8))
    filename: Mapped[str] = mapped_column(Text)
    duration_seconds: Mapped[int]
    credits_used: Mapped[int]
    progress: Mapped[int] = mapped_column(default=0)
    source_key: Mapped[str] = mapped_column(Text)
    source_bytes: Mapped[int] = mapped_column(BigInteger)
    stems: Mapped[dict[str, dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))
    masters: Mapped[dict[str, dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))
    levels: Mapped[dict[str, dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))
    model: Mapped[dict[str, Any]] = mapped_column(JSON)
    processing: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    # declarative classes reserve the name "metadata"
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
    # the reason of a server error, which only the operator sees
    cause: Mapped[str | None] = mapped_column(Text)
    model_name: Mapped[str | None] = mapped_column(String(64))
    priority: Mapped[int] = mapped_column(SmallInteger, server_default=text("1"))
    turn: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    worker_id: Mapped[str | None] = mapped_column(String(32))
    # W3C traceparent of the request that created it, if tracing is enabled
    trace: Mapped[str | None] = mapped_column(String(64))


# columns that clients see
SHOWN = (
    "id", "status", "stem_model", "filename", "duration_seconds", "credits_used", "created_at", "updated_at",
    "progress", "output_format", "expires_at", "stems", "error_code", "error_message", "model", "processing",
    "instruments", "user_metadata", "levels",
)  # fmt: skip

# Conditions of the partial indexes, with literal values: with parameters, a database cannot use the index.
IS_QUEUED = Split.status == bindparam(None, QUEUED, literal_execute=True)
IS_PROCESSING = Split.status == bindparam(None, PROCESSING, literal_execute=True)
IS_UNFINISHED = Split.status.in_(bindparam(None, UNFINISHED, expanding=True, literal_execute=True))


class SplitQueue(Base):
    """Virtual time of the queue of a model: the largest turn claimed so far. See ``splits/queue.py``."""

    __tablename__ = "split_queues"

    model_name: Mapped[str] = mapped_column(String(64), primary_key=True)
    priority: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    clock: Mapped[int] = mapped_column(BigInteger)


class SplitShare(Base):
    """Number of turns of paying accounts, while a free one waited, since the last turn of a free account. One row."""

    __tablename__ = "split_shares"

    priority: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    turns: Mapped[int] = mapped_column(BigInteger)


class SplitFlow(Base):
    """Virtual end time of the last split claimed of an account. See ``splits/queue.py``."""

    __tablename__ = "split_flows"

    model_name: Mapped[str] = mapped_column(String(64), primary_key=True)
    priority: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    end: Mapped[int] = mapped_column(BigInteger)


class SplitTotal(Base):
    """Number of splits that ended with a status before ``until``, and their seconds of audio."""

    __tablename__ = "split_totals"

    status: Mapped[str] = mapped_column(String(16), primary_key=True)
    until: Mapped[datetime] = mapped_column(UtcDateTime)
    splits: Mapped[int] = mapped_column(BigInteger)
    seconds: Mapped[int] = mapped_column(BigInteger)


def stems_folder(split_id: str) -> str:
    """Return the storage folder of a split's stems."""
    return f"splits/{split_id}/stems"


def masters_folder(split_id: str) -> str:
    """Return the storage folder of the lossless files of a split's stems."""
    return f"splits/{split_id}/masters"


def peaks_key(split_id: str) -> str:
    """Return the storage key of the peaks of the stems' waveforms."""
    return f"{stems_folder(split_id)}/{FILE_NAME}"


def overview_key(split_id: str) -> str:
    """Return the storage key of the peaks of the whole song, in few points."""
    return f"{stems_folder(split_id)}/{OVERVIEW_NAME}"
