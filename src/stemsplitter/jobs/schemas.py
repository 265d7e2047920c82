"""Schemas that all jobs share.

The order of fields is part of the contract: a client uses the first match of a key.
"""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from stemsplitter.schemas import CamelModel, RequestModel, Time

Status = Literal["queued", "processing", "succeeded", "failed"]

# PostgreSQL cannot store NUL
_TEXT = r"^[^\u0000]*$"
_Key = Annotated[str, Field(min_length=1, max_length=64, pattern=_TEXT)]
_Value = Annotated[str, Field(max_length=512, pattern=_TEXT)]
WebhookUrl = Annotated[
    str | None,
    Field(
        max_length=8192,
        description="URL that receives a webhook when the job has ended.",
        examples=["https://example.com/hook"],
    ),
]
Metadata = Annotated[
    dict[_Key, _Value], Field(max_length=16, description="Up to 16 texts, returned with the job.")
]


class CreateJob(RequestModel):
    """Options of every job."""

    webhook_url: WebhookUrl = None
    metadata: Metadata = Field(default_factory=dict)


class CreatedJob(CamelModel):
    """A queued job."""

    id: str
    status: Status
    credits_used: int
    created_at: Time


class JobError(CamelModel):
    """The reason why a job failed. Its credits were released."""

    code: str = Field(examples=["CANCELED"])
    message: str


class JobView(CamelModel):
    """Fields of every job."""

    id: str
    status: Status


Refunded = Annotated[
    int | SkipJsonSchema[None],
    Field(exclude_if=lambda refunded: refunded is None, description="Credits of `creditsUsed` given back."),
]


IsTest = Annotated[
    Literal[True] | SkipJsonSchema[None],
    Field(exclude_if=lambda test: test is None, description="Present only if a test key created it."),
]


class TempoView(CamelModel):
    """A tempo. The alternatives are half and double, the likelier first; the beats are in seconds."""

    bpm: float
    confidence: float = Field(ge=0, le=1)
    alternatives: list[float]
    beats: list[float]


class KeyName(CamelModel):
    """A key and its code on the Camelot wheel."""

    name: str = Field(examples=["A minor"])
    camelot: str = Field(examples=["8A"])


class KeyView(KeyName):
    """A key, the codes of the keys that mix well with it, and the second likeliest."""

    compatible: list[str] = Field(examples=[["7A", "9A", "8B"]])
    confidence: float = Field(ge=0, le=1)
    alternatives: list[KeyName]


class ChordView(CamelModel):
    """A major or minor triad, from `start` to `end` in seconds."""

    start: float
    end: float
    name: str = Field(examples=["Am"])


class AnalysisView(CamelModel):
    """Tuning, tempo, key and chords of a song; null where there are none."""

    tuning_cents: float | None = Field(description="Deviation from A4 = 440 Hz in cents.")
    tempo: TempoView | None
    key: KeyView | None
    chords: list[ChordView] = Field(
        default=[],
        description="In order; where no chord is clear, there is a gap. Those of a split are the better ones.",
    )
