"""Request and response schemas of the tools.

The order of fields is part of the contract: a client uses the first match of a key.
"""

from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from stemsplitter.jobs.schemas import (
    AnalysisView,
    CreatedJob,
    CreateJob,
    IsTest,
    JobError,
    JobView,
    Refunded,
)
from stemsplitter.schemas import CamelModel, Number, RequestModel, Time
from stemsplitter.splits.schemas import DirectUrl, Link, OutputFormat, StemName, UploadedFile
from stemsplitter.tools.transformations import DECAY_S, SPEED_PRESETS

MAX_TEXT = 20_000  # characters; with escapes it fits into the body of a request


class SplitSource(RequestModel):
    """The song of a split that has succeeded, or one of its stems."""

    type: Literal["split"]
    id: str = Field(max_length=64, pattern=r"^[0-9A-Za-z_]+$", examples=["split_0Yx3kQpAb2Jd7MfTn5Rv8W"])
    stem: StemName | None = Field(None, description="A stem of the split; the whole song by default.")


Input = Annotated[DirectUrl | UploadedFile | Link | SplitSource, Field(discriminator="type")]


class CreateAnalysis(CreateJob):
    """A song to analyze; a split is analyzed free of charge."""

    input: Input


class PitchParameters(RequestModel):
    """Change of the pitch; the tempo stays."""

    semitones: Number = Field(ge=-12, le=12, description="May have a fraction.", examples=[-2])
    formants: bool = Field(False, description="Keep the timbre of voices.")


class SpeedParameters(RequestModel):
    """Change of the speed, and of the pitch unless it is kept."""

    rate: Number = Field(ge=0.25, le=4, description="2 is twice as fast.", examples=[1.25])
    keep_pitch: bool = False


class NightcoreParameters(RequestModel):
    """Faster and higher."""

    rate: Number = Field(default=SPEED_PRESETS["nightcore"], gt=1, le=2)


class DaycoreParameters(RequestModel):
    """Slower and lower."""

    rate: Number = Field(default=SPEED_PRESETS["daycore"], ge=0.5, lt=1)


class SlowedReverbParameters(RequestModel):
    """Slower and lower, in a room."""

    rate: Number = Field(default=0.85, ge=0.25, le=1)
    decay: Number = Field(
        default=DECAY_S, ge=0.1, le=20, description="Seconds until the reverb has decayed by 60 dB."
    )
    wet: Number = Field(default=25, ge=0, le=100, description="Share of the reverb in percent.")


class IsolatorParameters(RequestModel):
    """The voice isolator has no parameters."""


class _CreateEffect(CreateJob):
    input: Input
    output_format: OutputFormat = "mp3"


class CreatePitch(_CreateEffect):
    """A change of the pitch."""

    effect: Literal["pitch"]
    parameters: PitchParameters


class CreateSpeed(_CreateEffect):
    """A change of the speed."""

    effect: Literal["speed"]
    parameters: SpeedParameters


class CreateNightcore(_CreateEffect):
    """A faster and higher version."""

    effect: Literal["nightcore"]
    parameters: NightcoreParameters = Field(default_factory=NightcoreParameters)


class CreateDaycore(_CreateEffect):
    """A slower and lower version."""

    effect: Literal["daycore"]
    parameters: DaycoreParameters = Field(default_factory=DaycoreParameters)


class CreateSlowedReverb(_CreateEffect):
    """A slower and lower version with reverb."""

    effect: Literal["slowed_reverb"]
    parameters: SlowedReverbParameters = Field(default_factory=SlowedReverbParameters)


class CreateVoiceIsolator(_CreateEffect):
    """The voice of a recording, and the noise; both add up to it."""

    effect: Literal["voice_isolator"]
    parameters: IsolatorParameters = Field(default_factory=IsolatorParameters)


CreateEffect = (
    CreatePitch | CreateSpeed | CreateNightcore | CreateDaycore | CreateSlowedReverb | CreateVoiceIsolator
)


class CreateSpeech(CreateJob):
    """A text to speak, in English."""

    text: str = Field(min_length=1, max_length=MAX_TEXT, examples=["Good morning. Here is the news."])
    voice: str = Field("american", max_length=64, description="Name of a voice of `GET /v1/voices`.")
    speed: Number = Field(1, ge=0.5, le=2)
    pitch: Number = Field(0, ge=-12, le=12, description="Semitones.")
    output_format: OutputFormat = "mp3"


class ToolJobView(JobView):
    """Fields of all jobs of the tools. `creditsRefunded` is present only if the job has failed or was canceled.

    `outputs` has a URL for each file; it is present only if the job has succeeded and made files.
    """

    filename: str
    duration_seconds: int = Field(description="Of the source; of speech, of the result.")
    credits_used: int
    created_at: Time
    updated_at: Time
    progress: int = Field(ge=0, le=100, description="Percent; never decreases.")
    expires_at: Time = Field(description="Time at which its files are deleted.")
    warnings: list[str] = Field(
        default=[], description="Sentences about damage of the source, such as a file that is cut short."
    )
    credits_refunded: Refunded = None
    test: IsTest = None


class AnalysisJobView(AnalysisView, ToolJobView):
    """An analysis. Tempo and tuning are null until it has succeeded, and where there are none; so is the key."""

    error: JobError | None
    metadata: dict[str, str]


Outputs = Annotated[dict[str, str] | SkipJsonSchema[None], Field(exclude_if=lambda outputs: outputs is None)]


class EffectJobView(ToolJobView):
    """An effect. Its output is `audio`; those of the voice isolator are `voice` and `noise`.

    `drumsApart` tells whether the drums and the rest of the song were transformed apart, which keeps the drums crisp:
    it needs a split with a drums stem as the source.
    """

    effect: str
    output_format: OutputFormat
    drums_apart: bool
    parameters: dict[str, Any]
    outputs: Outputs = None
    error: JobError | None
    metadata: dict[str, str]


class SpeechJobView(ToolJobView):
    """A spoken text. Its output is `audio`."""

    voice: str
    speed: float
    pitch: float
    characters: int
    output_format: OutputFormat
    outputs: Outputs = None
    error: JobError | None
    metadata: dict[str, str]


class CreatedToolJob(CreatedJob):
    """A queued job."""


class AnalysisPage(CamelModel):
    """A page of analyses, newest first; `nextCursor` is null on the last page."""

    items: list[AnalysisJobView]
    next_cursor: str | None


class EffectPage(CamelModel):
    """A page of effects, newest first; `nextCursor` is null on the last page."""

    items: list[EffectJobView]
    next_cursor: str | None


class SpeechPage(CamelModel):
    """A page of speech, newest first; `nextCursor` is null on the last page."""

    items: list[SpeechJobView]
    next_cursor: str | None


class DeletedJob(CamelModel):
    """A deleted job; its files are deleted, too."""

    id: str
    deleted: Literal[True] = True


class VoiceView(CamelModel):
    """A voice."""

    name: str = Field(examples=["american"])
    description: str = Field(examples=["American English, female"])


class VoiceList(CamelModel):
    """The voices of this server; empty if it has no speech."""

    items: list[VoiceView]
