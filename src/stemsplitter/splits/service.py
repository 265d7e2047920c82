"""Service of splits: create, list, retry, cancel and delete."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from stemsplitter import tracing
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.clock import now
from stemsplitter.credits.service import CreditService
from stemsplitter.database import Database, new_id
from stemsplitter.idempotency.service import Record
from stemsplitter.quotas.service import Quotas
from stemsplitter.separation.layouts import SIX_STEMS
from stemsplitter.service_errors import Conflict, NotFound, RateLimited
from stemsplitter.settings import Settings
from stemsplitter.splits import queue, repository
from stemsplitter.splits.derived import repository as derived_repository
from stemsplitter.splits.endings import Endings
from stemsplitter.splits.formats import choose_format, output_format
from stemsplitter.splits.model_selection import ALIASES, choose_stems, model_for
from stemsplitter.splits.models import FAILED, FREE, PAYING, QUEUED, SUCCEEDED, UNFINISHED, Split
from stemsplitter.splits.schemas import CreatedSplit, CreateSplit, DirectUrl, Link, SplitView, UploadedFile
from stemsplitter.splits.sizes import stems_bytes
from stemsplitter.splits.sources import Source, Sources, Stored
from stemsplitter.storage import Storage
from stemsplitter.webhooks.service import WebhookService

CANCELED = "CANCELED"


class SplitService:
    """Splits of accounts."""

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
        self._database, self._settings, self._storage = database, settings, storage
        self._models, self._sources, self._credits = models, sources, credits
        self._webhooks, self._quotas = webhooks, quotas
        self.endings = Endings(credits, webhooks, quotas, storage, settings)

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
            failed = _owned(session, account_id, split_id)
        if failed.status != FAILED:
            raise Conflict(f"{split_id} is {failed.status}: only a failed split can be retried.")
        request = CreateSplit.model_construct(
            stem_model=failed.stem_model,
            output_format=failed.output_format,
            bit_depth=failed.bit_depth,
            stems=failed.requested_stems,
            instruments=present(failed),
            quality=failed.model.get("quality"),
            webhook_url=failed.webhook_url,
            metadata=failed.user_metadata,
        )
        return self._create(
            self._new_split(account_id, request),
            Stored(failed.source_key, failed.filename, failed.source_bytes),
            lambda *_: None,
        )

    def _create(
        self, split: Split, input: DirectUrl | Link | UploadedFile | Stored, record: Record
    ) -> Mapping[str, Any]:
        account_id = split.account_id
        with self._database.read() as session:
            self._check_queue(session, account_id)
            # before anything is downloaded or measured
            self._credits.check_some(session, account_id)
            self._quotas.check_some(session, account_id)
        with ExitStack() as stack:
            with tracing.span("obtain source"):
                source = stack.enter_context(self._sources.obtain(account_id, split.id, input))
            session = stack.enter_context(self._database.write())
            self._check_queue(session, account_id)
            if source.upload is not None:
                self._sources.claim(session, account_id, source.upload)
            _fill(split, source, self._settings)
            self._quotas.reserve(
                session, account_id, split.id, source.size + self._stems_bytes(split, source)
            )
            split.credits_used = self._credits.hold(session, account_id, split.id, source.seconds)
            self._place(session, split)
            session.add(split)
            session.flush()
            created = CreatedSplit.model_validate(split, from_attributes=True)
            data = created.model_dump(mode="json", by_alias=True)
            record(session, data)
        return data

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

    def _place(self, session: Session, split: Split) -> None:
        """Add the split to the queue."""
        self._credits.lock(session, split.account_id)  # serializes the turns of an account
        split.model_name = split.model["name"]
        split.priority = PAYING if self._credits.has_bought(session, split.account_id) else FREE
        queue.place(session, split)

    def get(self, account_id: str, split_id: str) -> SplitView:
        """Return the account's split. Raises NotFound."""
        with self._database.read() as session:
            return self.endings.view(_owned(session, account_id, split_id))

    def get_all(
        self, session: Session, splits: Collection[tuple[str, str]]
    ) -> dict[tuple[str, str], SplitView]:
        """Return those of the splits, given as (account, id), that :meth:`get` would return."""
        found = repository.shown(session, {split_id for _, split_id in splits}) if splits else {}
        return {each: self.endings.view(found[each]) for each in splits if each in found}

    def states(self, account_id: str, split_ids: Sequence[str]) -> dict[str, tuple[str, int]]:
        """Return status and progress of those of the splits that belong to the account."""
        with self._database.read() as session:
            return repository.states(session, account_id, split_ids)

    def page(
        self, account_id: str, *, limit: int, cursor: str | None, status: str | None
    ) -> tuple[Sequence[SplitView], str | None]:
        """Return a page of the account's splits and the next cursor: see :func:`~stemsplitter.database.paging.page`."""
        with self._database.read() as session:
            found, after = repository.page(session, account_id, limit=limit, cursor=cursor, status=status)
            return [self.endings.view(split) for split in found], after

    def cancel(self, account_id: str, split_id: str) -> SplitView:
        """End the split and release its credits; a worker that runs it stops after the current segment.

        Raises:
            NotFound: the account has no such split.
            Conflict: it has already ended otherwise.
        """
        message = "The split was canceled; its credits were given back."
        with self._database.write() as session:
            split = _owned(session, account_id, split_id)
            ended = self.endings.fail(session, split_id, None, CANCELED, message)
            if ended is None and split.error_code != CANCELED:
                raise Conflict(
                    f"{split_id} has already {split.status}: only a queued or processing split can be canceled."
                )
            return self.endings.view(ended or split)

    def delete(self, account_id: str, split_id: str) -> None:
        """Delete the split, its source and its stems.

        Raises:
            NotFound: the account has no such split.
            Conflict: it is queued or processing.
        """
        with self._database.write() as session:
            split = _owned(session, account_id, split_id)
            if split.status in UNFINISHED:
                raise Conflict(f"{split_id} is {split.status}: cancel it first, or wait until it has ended.")
        self.delete_files(split)

    def delete_files(self, split: Split) -> None:
        """Delete the files of a finished split, then mark it as deleted. Can be repeated after a crash."""
        self._storage.delete_prefix(f"splits/{split.id}")
        self._storage.delete(split.source_key)
        with self._database.write() as session:
            repository.mark_deleted(session, split.id)
            derived_repository.remove_all(session, split.id)
            self._quotas.release(session, split.id)

    def succeeded(self, account_id: str, split_id: str) -> Split:
        """Return the account's split, which has succeeded.

        Raises:
            NotFound: the account has no such split.
            Conflict: it has not succeeded.
        """
        with self._database.read() as session:
            split = _owned(session, account_id, split_id)
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
            user_metadata=request.metadata,
            webhook_url=request.webhook_url,
            progress=0,
            attempts=0,
            trace=tracing.current(),
            created_at=at,
            updated_at=at,
        )

    def _check_queue(self, session: Session, account_id: str) -> None:
        limit = self._settings.max_queued_splits
        if repository.count_unfinished(session, account_id) >= limit:
            raise RateLimited(
                f"{limit} of your splits are unfinished: create more when some have ended.", "queued splits"
            )


def present(split: Split) -> list[str] | None:
    """Return the instruments that the song has; None if the request does not list them."""
    if split.instruments is None:
        return None
    return [name for name, probability in split.instruments.items() if probability]


def _probabilities(instruments: Sequence[str] | None) -> dict[str, float] | None:
    return None if instruments is None else {name: float(name in instruments) for name in SIX_STEMS}


def _fill(split: Split, source: Source, settings: Settings) -> None:
    split.source_key, split.source_bytes, split.filename = source.key, source.size, source.filename
    split.duration_seconds = source.seconds
    split.created_at = split.updated_at = now()
    split.expires_at = split.created_at + timedelta(days=settings.retention_days)


def _owned(session: Session, account_id: str, split_id: str) -> Split:
    split = repository.owned(session, account_id, split_id)
    if split is None:
        raise NotFound(f"There is no split {split_id}: check the id; its files may have been deleted.")
    return split
