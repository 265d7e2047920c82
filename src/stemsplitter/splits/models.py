"""Tables of splits: their columns of the table of jobs, and their totals."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from stemsplitter.audio.peaks import FILE_NAME, OVERVIEW_NAME
from stemsplitter.database import Base, UtcDateTime
from stemsplitter.jobs.models import SPLIT, Job, outputs_folder


class Split(Job):
    """The separation of a song.

    ``stems`` maps a stem's name to its ``{"key", "size", "mime"}``, ``masters`` to that of its lossless file and the
    ``peak`` of its samples; one file may be both. ``levels`` maps it to ``{"loudness", "truePeak", "silent"}``, once
    the stems are measured. ``instruments`` maps each of the six stems to the probability that the song has it, 1 or 0;
    it is null unless the request lists them. ``model`` has the model's name and license, the ``quality`` if the request
    names one, and later ``vocalsFrom``. ``analysis`` is the data of an
    :class:`~stemsplitter.jobs.schemas.AnalysisView`, once the stems are measured.
    """

    __mapper_args__ = {"polymorphic_identity": SPLIT, "polymorphic_load": "inline"}  # noqa: RUF012

    # the rows of other jobs have none of these
    stem_model: Mapped[str] = mapped_column(String(8), nullable=True)
    requested_stems: Mapped[list[str]] = mapped_column(JSON, nullable=True)
    instruments: Mapped[dict[str, float] | None] = mapped_column(JSON(none_as_null=True))
    output_format: Mapped[str] = mapped_column(String(8), nullable=True, use_existing_column=True)
    bit_depth: Mapped[str | None] = mapped_column(String(8))
    # from the song's tags, or as the account has renamed it; null if unknown
    title: Mapped[str | None] = mapped_column(Text)
    artist: Mapped[str | None] = mapped_column(Text)
    # a small JPEG of the song's cover, which lists of splits do not load
    cover: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    stems: Mapped[dict[str, dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))
    masters: Mapped[dict[str, dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))
    levels: Mapped[dict[str, dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))
    model: Mapped[dict[str, Any]] = mapped_column(JSON, nullable=True)
    analysis: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), use_existing_column=True)

    def _cover_bytes(self) -> int:
        return len(self.cover or b"")


# columns that clients see
SHOWN = (
    "id", "status", "stem_model", "filename", "duration_seconds", "credits_used", "created_at", "updated_at",
    "progress", "output_format", "expires_at", "stems", "error_code", "error_message", "model", "processing",
    "instruments", "user_metadata", "levels", "analysis", "title", "artist", "priority",
)  # fmt: skip


class SplitTotal(Base):
    """Number of splits that ended with a status before ``until``, and their seconds of audio."""

    __tablename__ = "split_totals"

    status: Mapped[str] = mapped_column(String(16), primary_key=True)
    until: Mapped[datetime] = mapped_column(UtcDateTime)
    splits: Mapped[int] = mapped_column(BigInteger)
    seconds: Mapped[int] = mapped_column(BigInteger)


def stems_folder(split_id: str) -> str:
    """Return the storage folder of a split's stems."""
    return outputs_folder(split_id)


def masters_folder(split_id: str) -> str:
    """Return the storage folder of the lossless files of a split's stems."""
    return f"splits/{split_id}/masters"


def peaks_key(split_id: str) -> str:
    """Return the storage key of the peaks of the stems' waveforms."""
    return f"{stems_folder(split_id)}/{FILE_NAME}"


def overview_key(split_id: str) -> str:
    """Return the storage key of the peaks of the whole song, in few points."""
    return f"{stems_folder(split_id)}/{OVERVIEW_NAME}"
