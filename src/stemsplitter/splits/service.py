"""Service of splits: create, list, retry, cancel and delete."""

import base64
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from stemsplitter import tracing
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.clock import now
from stemsplitter.credits.service import CreditService
from stemsplitter.database import Database, new_id
from stemsplitter.idempotency.service import Record
from stemsplitter.jobs.models import FAILED, FREE, LOW, QUEUED, SUCCEEDED, UNFINISHED, Job
from stemsplitter.languages import marked
from stemsplitter.quotas.service import Quotas
from stemsplitter.separation.layouts import SIX_STEMS
from stemsplitter.service_errors import Conflict, NotFound, ValidationFailed
from stemsplitter.settings import Settings
from stemsplitter.splits import repository
from stemsplitter.splits.derived import repository as derived_repository
from stemsplitter.splits.endings import Endings
from stemsplitter.splits.formats import choose_format, output_format
from stemsplitter.splits.model_selection import ALIASES, choose_stems, model_for
from stemsplitter.splits.models import Split
from stemsplitter.splits.schemas import CreateSplit, DirectUrl, Layout, Link, Quality, SplitView, UploadedFile
from stemsplitter.splits.sizes import stems_bytes
from stemsplitter.splits.sourced_jobs import SourcedJobService
from stemsplitter.splits.sources import Source, Sources, Stored
from stemsplitter.storage import Storage
from stemsplitter.webhooks.service import WebhookService

MAX_TITLE = 200


class SplitService(SourcedJobService[Split, SplitView]):
    """Splits of accounts."""

    kind = Split
    noun = marked("split")

    def __init__(
        self,
        database: Database,
        settings: Settings,
        storage: Storage,
        models: ModelStore,
        sources: Sources,
        credits: CreditService,
        webhooks: WebhookService,
        quotas: Quotas,
    ) -> None:
        self._endings = Endings(credits, webhooks, quotas, storage, settings)
        super().__init__(database, settings, storage, credits, webhooks, quotas, self._endings)
        self._models, self._sources = models, sources

    def create(self, account_id: str, request: CreateSplit, record: Record) -> Mapping[str, Any]:
        """Obtain the song, and create and queue the split and hold its credits in one transaction.

        Returns:
            The `data` of the response, a :class:`CreatedSplit`.

        Raises:
            ValidationFailed: the request is inconsistent, or its source is not a song.
            InsufficientCredits: the balance does not cover the duration of the song.
            RateLimited: too many of the account's splits are unfinished.
            Conflict: another split uses the upload.
            QuotaExceeded, Busy: the account or the disk has too little space for the song and its stems.
        """
        return self._create(self._new_split(account_id, request), request.input, record)

    def retry(self, account_id: str, split_id: str) -> Mapping[str, Any]:
        """Create a new split with the song and the options of a failed one, which is kept.

        Raises:
            NotFound: the account has no such split.
            Conflict: it has not failed.
            ValidationFailed, InsufficientCredits, RateLimited, QuotaExceeded, Busy: as :meth:`create`.
        """
        with self._database.read() as session:
            failed = self._owned(session, account_id, split_id)
        if failed.status != FAILED:
            raise Conflict(f"{split_id} is {failed.status}: only a failed split can be retried.")
        request = CreateSplit.model_construct(
            stem_model=failed.stem_model,
            output_format=failed.output_format,
            bit_depth=failed.bit_depth,
            stems=failed.requested_stems,
            instruments=present(failed),
            quality=failed.model.get("quality"),
            priority="low" if failed.priority == LOW else "normal",
            webhook_url=failed.webhook_url,
            metadata=failed.user_metadata,
        )
        return self._create_from(failed, request)

    def split_again(
        self,
        account_id: str,
        split_id: str,
        *,
        layout: Layout,
        output_format: str,
        bit_depth: str | None,
        quality: Quality | None,
    ) -> Mapping[str, Any]:
        """Create a new split with the song of one that has ended, which is kept.

        Raises:
            NotFound: the account has no such split.
            Conflict: it has not ended.
            ValidationFailed, InsufficientCredits, RateLimited, QuotaExceeded, Busy: as :meth:`create`.
        """
        with self._database.read() as session:
            earlier = self._owned(session, account_id, split_id)
        if earlier.status in UNFINISHED:
            raise Conflict(f"{split_id} is {earlier.status}: wait until it has ended.")
        request = CreateSplit.model_construct(
            stem_model=layout, output_format=output_format, bit_depth=bit_depth, quality=quality
        )
        return self._create_from(earlier, request)

    def _create_from(self, earlier: Split, request: CreateSplit) -> Mapping[str, Any]:
        """Create a split with the song, title and artist of an earlier one."""
        split = self._new_split(earlier.account_id, request)
        split.title, split.artist = earlier.title, earlier.artist
        return self._create(
            split,
            Stored(earlier.source_key, earlier.filename, earlier.source_bytes),
            lambda *_: None,
        )

    def search(
        self, account_id: str, text: str, *, limit: int, cursor: str | None
    ) -> tuple[Sequence[SplitView], str | None]:
        """Return a page of the account's splits whose title, artist or file name contains a text, and the next cursor.

        See :func:`~stemsplitter.database.paging.page`.
        """
        wanted = text.strip().replace("\0", "")
        with self._database.read() as session:
            found, after = repository.search(session, account_id, wanted, limit=limit, cursor=cursor)
            return [self._view(split) for split in found], after

    def rename(self, account_id: str, split_id: str, title: str) -> None:
        """Set the title of a split; an empty one removes it, so that the file name is shown.

        Raises:
            NotFound: the account has no such split.
            ValidationFailed: the title is too long, or has more than one line.
        """
        title = title.strip()
        if len(title) > MAX_TITLE or not title.isprintable():
            raise ValidationFailed(
                f"The title must be one line of at most {MAX_TITLE} characters.", param="title"
            )
        with self._database.write() as session:
            self._owned(session, account_id, split_id).title = title or None

    def _fill(self, job: Job, source: Source) -> None:
        super()._fill(job, source)
        assert isinstance(job, Split)
        if job.title is None and job.artist is None:
            job.title, job.artist = (_line(source.probed.tags.get(name, "")) for name in ("title", "artist"))
        job.cover = None if source.probed.cover is None else base64.b64decode(source.probed.cover)

    def _create(
        self, split: Split, input: DirectUrl | Link | UploadedFile | Stored, record: Record
    ) -> Mapping[str, Any]:
        self._check_some(split.account_id)
        return self._queue_source(
            split,
            input,
            lambda source: source.seconds,
            lambda source: self._stems_bytes(split, source),
            record,
        )

    def _stems_bytes(self, split: Split, source: Source) -> int:
        """Return the largest size of the stems."""
        return stems_bytes(
            split.requested_stems,
            output_format(split),
            source.probed.sample_rate,
            source.probed.channels,
            source.seconds,
            source.size,
            self._settings.max_sample_rate,
        )

    def _view(self, job: Split) -> SplitView:
        return self._endings.view(job)

    def get_all(
        self, session: Session, splits: Collection[tuple[str, str]]
    ) -> dict[tuple[str, str], SplitView]:
        """Return those of the splits, given as (account, id), that :meth:`get` would return."""
        found = repository.shown(session, {split_id for _, split_id in splits}) if splits else {}
        return {each: self._endings.view(found[each]) for each in splits if each in found}

    def cover(self, account_id: str, split_id: str) -> bytes:
        """Return the cover of a song, a JPEG.

        Raises:
            NotFound: the account has no such split, or its song has no cover.
        """
        with self._database.read() as session:
            if cover := self._owned(session, account_id, split_id).cover:
                return cover
        raise NotFound(f"The song of {split_id} has no cover.")

    def with_cover(self, account_id: str, split_ids: Sequence[str]) -> set[str]:
        """Return the ids of those of the account's splits whose songs have a cover."""
        with self._database.read() as session:
            return repository.with_cover(session, account_id, split_ids)

    def states(self, account_id: str, split_ids: Sequence[str]) -> dict[str, tuple[str, int]]:
        """Return status and progress of those of the splits that belong to the account."""
        with self._database.read() as session:
            return repository.states(session, account_id, split_ids)

    def _forget(self, session: Session, job: Job) -> None:
        derived_repository.remove_all(session, job.id)

    def succeeded(self, account_id: str, split_id: str) -> Split:
        """Return the account's split, which has succeeded.

        Raises:
            NotFound: the account has no such split.
            Conflict: it has not succeeded.
        """
        with self._database.read() as session:
            split = self._owned(session, account_id, split_id)
        if split.status != SUCCEEDED:
            raise Conflict(f"{split_id} is {split.status}: only a succeeded split has stems.")
        return split

    def stems(self, account_id: str, split_id: str) -> dict[str, tuple[str, int]]:
        """Return the stem files: name → storage key, size in bytes. Raises like :meth:`succeeded`."""
        stems = (self.succeeded(account_id, split_id).stems or {}).values()
        return {stem["key"].rpartition("/")[2]: (stem["key"], stem["size"]) for stem in stems}

    def _new_split(self, account_id: str, request: CreateSplit) -> Split:
        """Return the split without its source."""
        layout = ALIASES.get(request.stem_model, request.stem_model)
        stems = choose_stems(layout, list(request.stems) if request.stems is not None else None)
        choose_format(request.output_format, request.bit_depth, param="outputFormat")
        if request.webhook_url is not None:
            self._webhooks.check_url(request.webhook_url, "webhookUrl")
        entry = model_for(layout, self._settings, self._models, request.quality)
        model = {"name": entry.name, "licence": entry.licence}
        if request.quality is not None:
            model["quality"] = request.quality
        at = now()
        return Split(
            id=new_id("split"),
            account_id=account_id,
            status=QUEUED,
            stem_model=layout,
            requested_stems=list(stems),
            instruments=_probabilities(request.instruments),
            output_format=request.output_format,
            bit_depth=None if request.bit_depth is None else str(request.bit_depth),
            model=model,
            model_name=entry.name,
            user_metadata=request.metadata,
            webhook_url=request.webhook_url,
            priority=LOW if request.priority == "low" else FREE,
            progress=0,
            attempts=0,
            trace=tracing.current(),
            created_at=at,
            updated_at=at,
        )


def present(split: Split) -> list[str] | None:
    """Return the instruments that the song has; None if the request does not list them."""
    if split.instruments is None:
        return None
    return [name for name, probability in split.instruments.items() if probability]


def _line(tag: str) -> str | None:
    """Return a tag as a line of at most :data:`MAX_TITLE` characters; None if it is empty."""
    words = "".join(character if character.isprintable() else " " for character in tag).split()
    return " ".join(words)[:MAX_TITLE] or None


def _probabilities(instruments: Sequence[str] | None) -> dict[str, float] | None:
    return None if instruments is None else {name: float(name in instruments) for name in SIX_STEMS}
