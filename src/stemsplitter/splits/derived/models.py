"""Table of derived files, and where they are stored."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Double,
    ForeignKey,
    Index,
    SmallInteger,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from stemsplitter.database import Base, UtcDateTime
from stemsplitter.jobs.models import FAILED, PROCESSING, QUEUED, STATUSES, SUCCEEDED, UNFINISHED
from stemsplitter.storage import Storage

PREVIEWS_PREFIX = "prev"  # of the ids of previews, which are several files

__all__ = ["FAILED", "PROCESSING", "QUEUED", "SUCCEEDED", "UNFINISHED", "DerivedFile"]


class DerivedFile(Base):
    """A file that a worker makes from the masters of a split.

    ``content`` is a :class:`~stemsplitter.splits.derived.content.Content`, and ``digest`` its hash: a split has one
    file of a content. ``lease`` identifies the run that may change the row while it is processing, and
    ``worker_id`` its worker; ``attempts`` counts the runs. ``size`` is in bytes; ``peak`` and ``gain`` are those of
    :class:`~stemsplitter.audio.mixing.Mixed`. The previews of all stems in a codec are one row, and so is the
    measurement of the stems, which has no file. The bytes are a row of ``stored_bytes`` with the same id as
    ``name``.
    """

    __tablename__ = "derived_files"
    __table_args__ = (
        CheckConstraint(f"status IN {STATUSES!r}", name="status"),
        CheckConstraint(
            "kind IN ('stem', 'mix', 'archive', 'stem_file', 'previews', 'measurement')", name="kind"
        ),
        UniqueConstraint("split_id", "digest"),
        Index("ix_derived_files_expires_at", "expires_at"),
        # finds the last file that was made for an account
        Index("ix_derived_files_finished", "account_id", "finished_at"),
        Index(
            "ix_derived_files_unfinished",
            "account_id",
            "status",
            sqlite_where=text("status IN ('queued', 'processing')"),
            postgresql_where=text("status IN ('queued', 'processing')"),
        ),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    split_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    kind: Mapped[str] = mapped_column(String(16))
    content: Mapped[dict[str, Any]] = mapped_column(JSON)
    digest: Mapped[str] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(SmallInteger)
    lease: Mapped[str | None] = mapped_column(String(32))
    worker_id: Mapped[str | None] = mapped_column(String(32))
    size: Mapped[int | None] = mapped_column(BigInteger)
    peak: Mapped[float | None] = mapped_column(Double)
    gain: Mapped[float | None] = mapped_column(Double)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


def derived_folder(split_id: str) -> str:
    """Return the storage folder of a split's derived files."""
    return f"splits/{split_id}/derived"


def derived_key(split_id: str, file_id: str) -> str:
    """Return the storage key of a derived file, or the folder of previews."""
    return f"{derived_folder(split_id)}/{file_id}"


def delete_stored(storage: Storage, split_id: str, file_id: str) -> None:
    """Delete the stored bytes of a derived file."""
    key = derived_key(split_id, file_id)
    if file_id.startswith(f"{PREVIEWS_PREFIX}_"):
        storage.delete_prefix(key)
    else:
        storage.delete(key)
