"""Columns of the table of jobs that the jobs of the tools add."""

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from stemsplitter.jobs.models import ANALYSIS, EFFECT, SPEECH, Job

# queues; a worker claims from those whose tools it has
ANALYSIS_QUEUE: Final = "tool:analysis"
EFFECT_QUEUE: Final = "tool:effect"
ISOLATOR_QUEUE: Final = "tool:voice_isolator"
SPEECH_QUEUE: Final = "tool:speech"
LARGE_SPEECH_QUEUE: Final = "tool:large_speech"

ISOLATOR: Final = "voice_isolator"  # the effect that has a queue and outputs of its own


class ToolJob(Job):
    """A job of a tool.

    ``parameters`` are those of the request and the ids of the split and the stem that it names. ``outputs`` maps the
    name of a file that was made to its ``{"key", "size", "mime"}``. ``analysis`` is the data of an
    :class:`~stemsplitter.tool_jobs.schemas.AnalysisData`.
    """

    __mapper_args__ = {"polymorphic_abstract": True, "polymorphic_load": "inline"}  # noqa: RUF012

    parameters: Mapped[dict[str, Any]] = mapped_column(JSON, nullable=True)
    output_format: Mapped[str] = mapped_column(String(8), nullable=True, use_existing_column=True)
    outputs: Mapped[dict[str, dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))
    analysis: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), use_existing_column=True)

    def _texts(self) -> Iterator[str]:
        yield from super()._texts()
        yield self.parameters.get("text", "")


class AnalysisJob(ToolJob):
    """An analysis of a song."""

    __mapper_args__ = {"polymorphic_identity": ANALYSIS, "polymorphic_load": "inline"}  # noqa: RUF012


class EffectJob(ToolJob):
    """An effect on a song or a recording."""

    __mapper_args__ = {"polymorphic_identity": EFFECT, "polymorphic_load": "inline"}  # noqa: RUF012


class SpeechJob(ToolJob):
    """A text that is spoken."""

    __mapper_args__ = {"polymorphic_identity": SPEECH, "polymorphic_load": "inline"}  # noqa: RUF012

    @property
    def input_name(self) -> str:
        """The text."""
        text: str = self.parameters["text"]
        return text
