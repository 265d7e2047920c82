"""Services of the tools: create their jobs."""

import importlib.util
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from stemsplitter import tracing
from stemsplitter.audio.formats import FORMATS, OutputFormat
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.clock import now
from stemsplitter.credits.service import CreditService
from stemsplitter.database import Database, is_one_of, new_id
from stemsplitter.errors import RequestError
from stemsplitter.files.names import plain_ending
from stemsplitter.idempotency.service import Record
from stemsplitter.jobs.models import QUEUED, Job
from stemsplitter.jobs.schemas import CreateJob
from stemsplitter.jobs.service import V
from stemsplitter.languages import marked
from stemsplitter.quotas.service import Quotas
from stemsplitter.service_errors import NotFound, ValidationFailed
from stemsplitter.settings import Settings
from stemsplitter.splits.masters import current_key
from stemsplitter.splits.schemas import DirectUrl, Link, UploadedFile
from stemsplitter.splits.service import SplitService
from stemsplitter.splits.sizes import MAX_CHANNELS, stem_bytes
from stemsplitter.splits.sourced_jobs import SourcedJobService
from stemsplitter.splits.sources import Source, Sources, Stored
from stemsplitter.storage import Storage
from stemsplitter.tool_jobs.endings import ToolEndings
from stemsplitter.tool_jobs.models import (
    ANALYSIS_QUEUE,
    EFFECT_QUEUE,
    ISOLATOR,
    ISOLATOR_QUEUE,
    LARGE_SPEECH_QUEUE,
    SPEECH_QUEUE,
    AnalysisJob,
    EffectJob,
    SpeechJob,
    ToolJob,
)
from stemsplitter.tool_jobs.schemas import (
    AnalysisJobView,
    CreateAnalysis,
    CreateEffect,
    CreateSpeech,
    EffectJobView,
    SpeechJobView,
    SplitSource,
    ToolJobView,
    VoiceView,
)
from stemsplitter.tools import isolating, speaking
from stemsplitter.tools.speaking import CHARACTERS_PER_SECOND, check_text, find_voice, usable_voices
from stemsplitter.webhooks.service import WebhookService

T = TypeVar("T", bound=ToolJob)
C = TypeVar("C")

ToolParts = tuple[
    Database, Settings, Storage, ModelStore, Sources, SplitService, CreditService, WebhookService, Quotas
]

_IS_VISITORS = "isVisitors"  # a parameter of analyses
_VISITORS_JOBS_LAST = timedelta(hours=1)
_SPEECH_RATE = 24_000  # hertz, at most
# a character of speech takes 0.06 s on average, and not much more than this: figures are spelled out
_SECONDS_PER_CHARACTER = 1.0


@dataclass(frozen=True)
class JobFile:
    """A file of a job: storage key, media type and file name."""

    key: str
    mime: str
    filename: str


class AnyToolJobs(SourcedJobService[T, V]):
    """Jobs of a tool."""

    endings: ToolEndings

    def __init__(
        self,
        database: Database,
        settings: Settings,
        storage: Storage,
        models: ModelStore,
        sources: Sources,
        splits: SplitService,
        credits: CreditService,
        webhooks: WebhookService,
        quotas: Quotas,
    ) -> None:
        endings = ToolEndings(credits, webhooks, quotas, storage, settings)
        super().__init__(database, settings, storage, credits, webhooks, quotas, endings)
        self.endings = endings
        self._models, self._sources, self._splits = models, sources, splits

    def files(self, account_id: str, job_id: str) -> dict[str, JobFile]:
        """Return the files of a job by their names in its outputs, and its ``source``. Raises NotFound."""
        with self._database.read() as session:
            job = self._owned(session, account_id, job_id)
        files = {
            name: JobFile(stored["key"], stored["mime"], stored["key"].rpartition("/")[2])
            for name, stored in (job.outputs or {}).items()
        }
        if job.source_key:
            files["source"] = JobFile(job.source_key, _media_type(job.filename), job.filename)
        return files

    def _new(self, account_id: str, request: CreateJob, queue: str, parameters: Mapping[str, Any]) -> T:
        """Return a job without its source. Raises ValidationFailed."""
        if request.webhook_url is not None:
            self._webhooks.check_url(request.webhook_url, "webhookUrl")
        at = now()
        return self.kind(
            id=new_id(self.noun),
            account_id=account_id,
            status=QUEUED,
            parameters=dict(parameters),
            model_name=queue,
            user_metadata=request.metadata,
            webhook_url=request.webhook_url,
            progress=0,
            attempts=0,
            trace=tracing.current(),
            created_at=at,
            updated_at=at,
            expires_at=at + timedelta(days=self._settings.retention_days),
        )

    def _create(self, job: T, input: "AnyInput", price: "Price", record: Record) -> Mapping[str, Any]:
        """Obtain the source and queue the job.

        Raises:
            ValidationFailed: the source is not audio.
            NotFound, Conflict: the split does not exist, or has not succeeded.
            InsufficientCredits, RateLimited, QuotaExceeded, Busy: as for a split.
        """
        self._check_some(job.account_id, is_free=price.is_free)
        given = self._of_split(job, input) if isinstance(input, SplitSource) else input
        return self._queue_source(job, given, lambda source: price.of(source.seconds), price.bytes, record)

    def _of_split(self, job: T, input: SplitSource) -> Stored:
        """Return the song or the stem of a split, and note in the parameters what it is."""
        split = self._splits.succeeded(job.account_id, input.id)
        job.parameters = {**job.parameters, "splitId": split.id, "stem": input.stem}
        if input.stem is None:
            return Stored(split.source_key, split.filename, split.source_bytes)
        master = (split.masters or {}).get(input.stem)
        if master is None:
            raise NotFound(
                f"The split has no stem {input.stem}: choose from {', '.join(split.masters or {})}."
            )
        key = current_key(self._storage, master["key"])
        ending = key.rpartition(".")[2]
        name = split.filename.rpartition(".")[0] or split.filename
        return Stored(key, f"{name} ({input.stem}).{ending}", master["size"])


AnyInput = DirectUrl | UploadedFile | Link | SplitSource


@dataclass(frozen=True)
class Price:
    """The price of a source: one credit for each ``unit`` seconds, rounded up; and ``files`` of a format.

    The files are ``longer`` times as long as the source, and ``tail`` seconds more.
    """

    unit: int
    is_free: bool = False
    format: str = ""
    files: int = 0
    longer: float = 1.0
    tail: float = 0.0

    def of(self, amount: int) -> int:
        """Return the credits of an amount."""
        return 0 if self.is_free else -(-amount // self.unit)

    def bytes(self, source: Source) -> int:
        """Return the largest size of the files."""
        if not self.files:
            return 0
        seconds = int(source.seconds * self.longer + self.tail) + 1
        fmt, rate = OutputFormat.parse(self.format), source.probed.sample_rate
        return self.files * stem_bytes(fmt, rate, MAX_CHANNELS, seconds, source.size)


class AnalysisService(AnyToolJobs[AnalysisJob, AnalysisJobView]):
    """Analyses of songs: tempo, beats, key and tuning."""

    kind = AnalysisJob
    noun = marked("analysis")

    def create(self, account_id: str, request: CreateAnalysis, record: Record) -> Mapping[str, Any]:
        """Create and queue an analysis; that of a split is free. Returns the data of a :class:`CreatedToolJob`.

        Raises:
            ValidationFailed, NotFound, Conflict, InsufficientCredits, RateLimited, QuotaExceeded, Busy: as a split.
        """
        return self._create_analysis(account_id, request, record, {})

    def create_for_visitor(
        self, account_id: str, request: CreateAnalysis, record: Record
    ) -> Mapping[str, Any]:
        """Create and queue an analysis that is free and is deleted after an hour.

        Raises:
            ValidationFailed: the source is a link, or as :meth:`create`.
        """
        if not isinstance(request.input, DirectUrl | UploadedFile):
            raise ValidationFailed("Sign in to analyze a link, or choose a file.", param="url")
        return self._create_analysis(account_id, request, record, {_IS_VISITORS: True})

    def _create_analysis(
        self, account_id: str, request: CreateAnalysis, record: Record, parameters: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        job = self._new(account_id, request, ANALYSIS_QUEUE, parameters)
        is_free = _IS_VISITORS in parameters or isinstance(request.input, SplitSource)
        price = Price(self._settings.analysis_seconds_per_credit, is_free)
        return self._create(job, request.input, price, record)

    def _fill(self, job: Job, source: Source) -> None:
        super()._fill(job, source)
        if isinstance(job, AnalysisJob) and _IS_VISITORS in job.parameters:
            job.expires_at = job.created_at + _VISITORS_JOBS_LAST

    def _view(self, job: AnalysisJob) -> AnalysisJobView:
        return self.endings.analysis(job)


class EffectService(AnyToolJobs[EffectJob, EffectJobView]):
    """Effects: pitch, speed, nightcore, daycore, slowed + reverb, and the voice isolator."""

    kind = EffectJob
    noun = marked("effect")

    def create(self, account_id: str, request: CreateEffect, record: Record) -> Mapping[str, Any]:
        """Create and queue an effect. Returns the data of a :class:`CreatedToolJob`.

        Raises:
            ValidationFailed: this server does not have the effect, too.
            NotFound, Conflict, InsufficientCredits, RateLimited, QuotaExceeded, Busy: as a split.
        """
        parameters = request.parameters.model_dump(by_alias=True)
        is_isolator = request.effect == ISOLATOR
        if is_isolator and not self._models.is_ready(isolating.MODEL):
            raise ValidationFailed(
                "This server has no voice isolator: ask its operator to run "
                f"`stemsplitter models pull {isolating.MODEL}`.",
                param="effect",
            )
        queue = ISOLATOR_QUEUE if is_isolator else EFFECT_QUEUE
        job = self._new(account_id, request, queue, {"effect": request.effect, "parameters": parameters})
        job.output_format = request.output_format
        price = Price(
            self._settings.effect_seconds_per_credit,
            format=request.output_format,
            files=2 if is_isolator else 1,
            longer=1 / parameters.get("rate", 1),
            tail=parameters.get("decay", 0) * 2,
        )
        return self._create(job, request.input, price, record)

    def _view(self, job: EffectJob) -> EffectJobView:
        return self.endings.effect(job)


class SpeechService(AnyToolJobs[SpeechJob, SpeechJobView]):
    """Spoken texts."""

    kind = SpeechJob
    noun = marked("speech")

    def create(self, account_id: str, request: CreateSpeech, record: Record) -> Mapping[str, Any]:
        """Create and queue a speech. Returns the data of a :class:`CreatedToolJob`.

        Raises:
            ValidationFailed: there is nothing to speak, there is no such voice, or this server has no speech.
            InsufficientCredits, RateLimited, QuotaExceeded, Busy: as a split.
        """
        if not has_speech():
            raise ValidationFailed(
                "This server has no speech: ask its operator to install `stemsplitter[speech]`.",
                param="voice",
            )
        _checked("text", check_text, request.text)
        is_large = bool(_checked("voice", find_voice, request.voice).styles)
        if is_large and not self._models.is_ready(speaking.MODEL):
            raise ValidationFailed(
                "This server does not have this voice: ask its operator to run "
                f"`stemsplitter models pull {speaking.MODEL}`.",
                param="voice",
            )
        asked = {name: getattr(request, name) for name in ("text", "voice", "speed", "pitch")}
        job = self._new(account_id, request, LARGE_SPEECH_QUEUE if is_large else SPEECH_QUEUE, asked)
        job.output_format = request.output_format
        job.filename, job.source_key, job.source_bytes = f"speech.{_extension(job)}", "", 0
        seconds = int(len(request.text) * _SECONDS_PER_CHARACTER / request.speed) + 1
        job.duration_seconds = max(
            len(request.text) // CHARACTERS_PER_SECOND, 1
        )  # an estimate, until it is spoken
        price = Price(self._settings.speech_characters_per_credit)
        size = OutputFormat.parse(request.output_format).max_bytes(_SPEECH_RATE, 1, seconds)
        self._check_some(account_id)
        with self._database.write() as session:
            self._check_queue(session, account_id)
            self._queue(session, job, price.of(len(request.text)), size)
            return self._created(session, job, record)

    def voices(self) -> list[VoiceView]:
        """Return the voices of this server; none if it has no speech."""
        voices = usable_voices(self._models) if has_speech() else []
        return [VoiceView(name=each.name, description=each.description) for each in voices]

    def _view(self, job: SpeechJob) -> SpeechJobView:
        return self.endings.speech(job)


def has_speech() -> bool:
    """Return true if the extra ``speech`` is installed."""
    return importlib.util.find_spec("hibari") is not None


def tool_queues(models: ModelStore) -> Sequence[str]:
    """Return the queues of the tools that this host can run."""
    queues = [ANALYSIS_QUEUE, EFFECT_QUEUE]
    if models.is_ready(isolating.MODEL):
        queues.append(ISOLATOR_QUEUE)
    if has_speech():
        queues.append(SPEECH_QUEUE)
        if models.is_ready(speaking.MODEL):
            queues.append(LARGE_SPEECH_QUEUE)
    return queues


def read_views(
    session: Session, endings: ToolEndings, jobs: Collection[tuple[str, str]]
) -> dict[tuple[str, str], ToolJobView]:
    """Return those of the jobs of tools, given as (account, id), that exist and were not deleted."""
    if not jobs:
        return {}
    query = select(ToolJob).where(
        is_one_of(session, ToolJob.id, {job_id for _, job_id in jobs}), ToolJob.is_kept()
    )
    found = {(job.account_id, job.id): job for job in session.scalars(query)}
    return {each: endings.job_view(found[each]) for each in jobs if each in found}


def _extension(job: ToolJob) -> str:
    return OutputFormat.parse(job.output_format).extension


def _checked(param: str, check: Callable[[str], C], value: str) -> C:
    try:
        return check(value)
    except RequestError as error:
        raise ValidationFailed(str(error), param=param) from error


def _media_type(filename: str) -> str:
    types = {f".{entry.extension}": entry.media_type for entry in FORMATS.values()}
    return types.get(plain_ending(filename), "application/octet-stream")
