"""The rules of splits: who may have one, what it costs, and how it is told of, canceled and deleted."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from stemsplitter import tracing
from stemsplitter.audio.formats import FORMATS, OutputFormat
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.clock import now
from stemsplitter.credits.service import CreditService
from stemsplitter.database import Database, new_id
from stemsplitter.service_errors import Conflict, NotFound, RateLimited, ValidationFailed
from stemsplitter.settings import Settings
from stemsplitter.splits import queue, repository
from stemsplitter.splits.endings import Endings
from stemsplitter.splits.model_selection import ALIASES, choose_stems, model_for
from stemsplitter.splits.models import FAILED, FREE, PAYING, QUEUED, SUCCEEDED, UNFINISHED, Split
from stemsplitter.splits.schemas import CreatedSplit, CreateSplit, DirectUrl, SplitView, UploadedFile
from stemsplitter.splits.sources import Source, Sources, Stored
from stemsplitter.storage import Storage
from stemsplitter.webhooks.service import WebhookService

CANCELED = "CANCELED"

# what is called in the transaction that creates, with the `data` of the answer
Record = Callable[[Session, Mapping[str, Any]], None]


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
    ) -> None:
        self._database, self._settings, self._storage = database, settings, storage
        self._models, self._sources, self._credits = models, sources, credits
        self._webhooks = webhooks
        self.endings = Endings(credits, webhooks, storage, settings)

    def create(self, account_id: str, wanted: CreateSplit, record: Record) -> Mapping[str, Any]:
        """Get the song, and make the split: its row, which is its place in the queue, and its credits are there
        together, or not at all.

        Returns:
            The answer's `data`, as :class:`CreatedSplit` has it.

        Raises:
            ValidationFailed: the request does not fit together, or its source is none.
            InsufficientCredits: the balance does not cover the source's seconds.
            RateLimited: too many of the account's splits wait.
            Conflict: another split has taken the upload.
        """
        return self._create(self._planned(account_id, wanted), wanted.input, record)

    def retry(self, account_id: str, split_id: str) -> Mapping[str, Any]:
        """Make a new split of a failed one's song, as that was asked for. The failed one stays.

        Raises:
            NotFound: the account has no such split.
            Conflict: it has not failed.
            ValidationFailed, InsufficientCredits, RateLimited: as :meth:`create`.
        """
        with self._database.read() as session:
            failed = _owned(session, account_id, split_id)
        if failed.status != FAILED:
            raise Conflict(f"{split_id} is {failed.status}: only a split that failed can be tried again.")
        wanted = CreateSplit.model_construct(
            stem_model=failed.stem_model,
            output_format=failed.output_format,
            bit_depth=failed.bit_depth,
            stems=failed.requested_stems,
            webhook_url=failed.webhook_url,
            metadata=failed.user_metadata,
        )
        return self._create(
            self._planned(account_id, wanted), Stored(failed.source_key, failed.filename), lambda *_: None
        )

    def _create(
        self, split: Split, given: DirectUrl | UploadedFile | Stored, record: Record
    ) -> Mapping[str, Any]:
        account_id = split.account_id
        with self._database.read() as session:
            self._check_queue(session, account_id)
        with ExitStack() as stack:
            with tracing.span("obtain source"):
                source = stack.enter_context(self._sources.obtain(account_id, split.id, given))
            session = stack.enter_context(self._database.write())
            self._check_queue(session, account_id)
            if source.upload is not None:
                self._sources.claim(session, account_id, source.upload)
            _fill(split, source, self._settings)
            split.credits_used = self._credits.hold(session, account_id, split.id, source.seconds)
            self.place(session, split)
            session.add(split)
            session.flush()
            created = CreatedSplit.model_validate(split, from_attributes=True)
            data = created.model_dump(mode="json", by_alias=True)
            record(session, data)
        return data

    def place(self, session: Session, split: Split) -> None:
        """Give a split that is to wait its place in the queue."""
        self._credits.lock(
            session, split.account_id
        )  # an account's splits take their turns one after the other
        split.model_name = split.model["name"]
        split.priority = PAYING if self._credits.has_bought(session, split.account_id) else FREE
        queue.place(session, split)

    def get(self, account_id: str, split_id: str) -> SplitView:
        """The account's split. Raises NotFound."""
        with self._database.read() as session:
            return self.endings.view(_owned(session, account_id, split_id))

    def get_all(
        self, session: Session, wanted: Collection[tuple[str, str]]
    ) -> dict[tuple[str, str], SplitView]:
        """Those of the splits, named by account and id, that :meth:`get` would give."""
        found = repository.shown(session, {split_id for _, split_id in wanted}) if wanted else {}
        return {each: self.endings.view(found[each]) for each in wanted if each in found}

    def states(self, account_id: str, split_ids: Sequence[str]) -> dict[str, tuple[str, int]]:
        """Status and progress of those of the splits that are the account's."""
        with self._database.read() as session:
            return repository.states(session, account_id, split_ids)

    def page(
        self, account_id: str, *, limit: int, cursor: str | None, status: str | None
    ) -> tuple[Sequence[SplitView], str | None]:
        """A page of the account's splits and the next cursor: see :func:`~stemsplitter.database.paging.page`."""
        with self._database.read() as session:
            found, after = repository.page(session, account_id, limit=limit, cursor=cursor, status=status)
            return [self.endings.view(split) for split in found], after

    def cancel(self, account_id: str, split_id: str) -> SplitView:
        """End the split and give its credits back; the worker that has it notices within a segment.

        Raises:
            NotFound: the account has no such split.
            Conflict: it has ended in another way.
        """
        message = "The split was canceled; its credits were given back."
        with self._database.write() as session:
            split = _owned(session, account_id, split_id)
            ended = self.endings.fail(session, split_id, None, CANCELED, message)
            if ended is None and split.error_code != CANCELED:
                raise Conflict(
                    f"{split_id} has {split.status} already: only a split that waits or runs can be."
                )
            return self.endings.view(ended or split)

    def delete(self, account_id: str, split_id: str) -> None:
        """Remove the split, its source and its stems.

        Raises:
            NotFound: the account has no such split.
            Conflict: it waits or runs.
        """
        with self._database.write() as session:
            split = _owned(session, account_id, split_id)
            if split.status in UNFINISHED:
                raise Conflict(f"{split_id} is {split.status}: cancel it first, or wait for its end.")
        self.remove(split)

    def remove(self, split: Split) -> None:
        """Delete a finished split's files; then it is gone. May be repeated after a crash."""
        self._storage.delete_prefix(f"splits/{split.id}")
        self._storage.delete(split.source_key)
        with self._database.write() as session:
            repository.mark_deleted(session, split.id)

    def succeeded(self, account_id: str, split_id: str) -> Split:
        """The account's split, which has stems.

        Raises:
            NotFound: the account has no such split.
            Conflict: it has no stems, or not yet.
        """
        with self._database.read() as session:
            split = _owned(session, account_id, split_id)
        if split.status != SUCCEEDED:
            raise Conflict(f"{split_id} is {split.status}: only a split that succeeded has stems.")
        return split

    def stems(self, account_id: str, split_id: str) -> dict[str, tuple[str, int]]:
        """The split's files: name → storage key, size in bytes. Raises as :meth:`succeeded` does."""
        stems = (self.succeeded(account_id, split_id).stems or {}).values()
        return {stem["key"].rpartition("/")[2]: (stem["key"], stem["size"]) for stem in stems}

    def _planned(self, account_id: str, wanted: CreateSplit) -> Split:
        """The split without its source."""
        layout = ALIASES.get(wanted.stem_model, wanted.stem_model)
        stems = choose_stems(layout, list(wanted.stems) if wanted.stems is not None else None)
        depth = None if wanted.bit_depth is None else str(wanted.bit_depth)
        if depth is not None and depth not in FORMATS[wanted.output_format].depths:
            raise ValidationFailed(
                f"{wanted.output_format} has no bit depth {depth}: omit bitDepth, or request wav or flac.",
                param="bitDepth",
            )
        if wanted.webhook_url is not None:
            self._webhooks.check_url(wanted.webhook_url, "webhookUrl")
        model = model_for(layout, self._settings, self._models)
        at = now()
        return Split(
            id=new_id("split"),
            account_id=account_id,
            status=QUEUED,
            stem_model=layout,
            requested_stems=list(stems),
            output_format=wanted.output_format,
            bit_depth=depth,
            model={"name": model.name, "licence": model.licence},
            user_metadata=wanted.metadata,
            webhook_url=wanted.webhook_url,
            progress=0,
            attempts=0,
            trace=tracing.current(),
            created_at=at,
            updated_at=at,
        )

    def _check_queue(self, session: Session, account_id: str) -> None:
        limit = self._settings.max_queued_splits
        if repository.count_unfinished(session, account_id) >= limit:
            raise RateLimited(f"{limit} of your splits wait already: create more when some have ended.")


def output_format(split: Split) -> str:
    """The format as :class:`OutputFormat` reads it."""
    return str(OutputFormat.parse(f"{split.output_format}{split.bit_depth or ''}"))


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
