"""Request and response schemas of splits.

The order of fields is part of the contract: a client uses the first match of a key.
"""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from stemsplitter.audio.formats import FORMATS, bit_depths
from stemsplitter.jobs.schemas import (
    AnalysisView,
    CreatedJob,
    IsTest,
    JobError,
    JobView,
    Metadata,
    Refunded,
    WebhookUrl,
)
from stemsplitter.schemas import CamelModel, RequestModel, Time
from stemsplitter.separation.layouts import STEM_NAMES

Layout = Literal["2s", "4s", "6s"]
if TYPE_CHECKING:
    StemName = str
else:
    StemName = Literal[STEM_NAMES]
Instrument = Literal["vocals", "drums", "bass", "guitar", "piano", "other"]
Quality = Literal["fast", "balanced", "best"]
Priority = Literal["normal", "low"]
if TYPE_CHECKING:
    OutputFormat = str
    BitDepth = str | int
else:
    OutputFormat = Literal[tuple(FORMATS)]
    _NUMBERS = [int(depth) for depth in bit_depths() if depth.isdecimal()]
    # generators of clients do not support an enum of strings and numbers
    _BIT_DEPTH = {
        "anyOf": [{"type": "string", "enum": list(bit_depths())}, {"type": "integer", "enum": _NUMBERS}]
    }
    BitDepth = Annotated[Literal[(*bit_depths(), *_NUMBERS)], WithJsonSchema(_BIT_DEPTH)]


class DirectUrl(RequestModel):
    """A song at a public URL; it is downloaded before the response."""

    type: Literal["direct_url"]
    url: str = Field(max_length=8192, examples=["https://example.com/song.mp3"])


class UploadedFile(RequestModel):
    """An uploaded song; `fileUrl` and `storageKey` are those of the response to the upload."""

    type: Literal["uploaded_file"]
    upload_id: str = Field(max_length=64, pattern=r"^[0-9A-Za-z_]+$")
    file_url: str = Field(max_length=8192)
    storage_key: str = Field(max_length=1024)


class Link(RequestModel):
    """A track of YouTube or SoundCloud, if this server allows links; it is downloaded before the response."""

    type: Literal["link"]
    url: str = Field(max_length=8192, examples=["https://soundcloud.com/band/song"])


class CreateSplit(RequestModel):
    """A song to separate, and its options."""

    input: Annotated[DirectUrl | UploadedFile | Link, Field(discriminator="type")]
    stem_model: Literal["6s", "4s", "2s", "htdemucs", "htdemucs_ft", "htdemucs_6s"] = Field(
        "6s",
        description="Six, four or two stems. `htdemucs` and `htdemucs_ft` mean 4s, `htdemucs_6s` means 6s.",
    )
    output_format: OutputFormat = "mp3"
    bit_depth: BitDepth | None = Field(
        None, description="Of wav (16, 24, 32f), flac, aiff and alac (16, 24); 24 by default."
    )
    stems: Annotated[list[StemName], Field(min_length=1, max_length=len(STEM_NAMES))] | None = Field(
        None,
        description="Some of the stems, or `no_drums` (everything except the drums) and so on, or `instrumental` "
        "(the same as `no_vocals`); all stems by default.",
    )
    instruments: Annotated[list[Instrument], Field(min_length=1, max_length=6)] | None = Field(
        None,
        description="The instruments that the song has; the stems of the others are silent. All six by default.",
    )
    quality: Quality | None = Field(
        None,
        description="`fast`: the built-in model, and Spleeter for vocals; `balanced`: the best model on this server "
        "with an unrestricted license; `best`: the same with more overlap, in 1.5 times the time. By default the "
        "server chooses the model.",
    )
    priority: Priority = Field(
        "normal",
        description="`low`: the split runs when no job of a normal priority waits, and starts again later if one comes "
        "and finds no free worker. It costs the same.",
    )
    webhook_url: WebhookUrl = None
    metadata: Metadata = Field(default_factory=dict)


class CreatedSplit(CreatedJob):
    """A queued split."""


class SplitError(JobError):
    """The reason why a split failed. Its credits were released."""


class VocalsModel(CamelModel):
    """The model that extracted the vocals."""

    name: str
    licence: str


class ModelUsed(CamelModel):
    """The model that separates the song.

    `quality` is present only if the request names one. `vocalsFrom` is present only if the split has succeeded and
    another model extracted the vocals.
    """

    name: str
    licence: str
    quality: Quality | SkipJsonSchema[None] = Field(None, exclude_if=lambda quality: quality is None)
    vocals_from: VocalsModel | SkipJsonSchema[None] = Field(None, exclude_if=lambda model: model is None)


class Processing(CamelModel):
    """Processing time of the separation: `seconds`, and `realtimeFactor`, seconds per second of the song."""

    device: str
    seconds: float
    realtime_factor: float


class StemLevel(CamelModel):
    """The level of a stem.

    `loudness` is the integrated loudness in LUFS (ITU-R BS.1770-4), null for a stem without any sound above -70 LUFS;
    `truePeak` is in dBTP, null for digital silence. `silent` is true if nothing can be heard: the loudness is null or
    below -50 LUFS.
    """

    loudness: float | None
    true_peak: float | None
    silent: bool


class SplitView(JobView):
    """A split. `stems` has a URL for each stem; it is present only if the split has succeeded.

    `priority` is present only if it is `low`.
    `creditsRefunded` is present only if the split has failed or was canceled. `instruments` is present only if the
    request lists them. `levels` is present once the stems are measured, some seconds after the split has succeeded, and
    so is `analysis` if the stems are all of a layout.
    """

    stem_model: Layout
    filename: str
    duration_seconds: int
    credits_used: int
    created_at: Time
    updated_at: Time
    progress: int = Field(ge=0, le=100, description="Percent; never decreases.")
    output_format: OutputFormat
    priority: Literal["low"] | SkipJsonSchema[None] = Field(
        None, exclude_if=lambda priority: priority is None
    )
    expires_at: Time = Field(description="Time at which its files are deleted.")
    credits_refunded: Refunded = None
    test: IsTest = None
    stems: dict[str, str] | None = Field(None, exclude_if=lambda stems: stems is None)
    error: SplitError | None
    model: ModelUsed
    processing: Processing | None
    instruments: dict[str, float] | SkipJsonSchema[None] = Field(
        None,
        exclude_if=lambda instruments: instruments is None,
        description="Probability that the song has each instrument: 1 or 0 if the request lists them.",
    )
    metadata: dict[str, str]
    levels: dict[str, StemLevel] | SkipJsonSchema[None] = Field(
        None, exclude_if=lambda levels: levels is None, description="Levels of the stems by name."
    )
    analysis: AnalysisView | SkipJsonSchema[None] = Field(
        None,
        exclude_if=lambda analysis: analysis is None,
        description="Tempo, key and tuning of the song, with the drums stem's help.",
    )
    # shown in the console only
    title: SkipJsonSchema[str | None] = Field(None, exclude=True)
    artist: SkipJsonSchema[str | None] = Field(None, exclude=True)


class SplitPage(CamelModel):
    """A page of splits, newest first; `nextCursor` is null on the last page."""

    items: list[SplitView]
    next_cursor: str | None


class DeletedSplit(CamelModel):
    """A deleted split; its source and stems are deleted, too."""

    id: str
    deleted: Literal[True] = True
