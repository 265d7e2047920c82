"""Service of jobs: what splits and the jobs of the tools have in common."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy.orm import Session

from stemsplitter.clock import now
from stemsplitter.credits.service import CreditService
from stemsplitter.database import Database
from stemsplitter.idempotency.service import Record
from stemsplitter.jobs import outcomes, queue, repository
from stemsplitter.jobs.endings import JobEndings
from stemsplitter.jobs.models import FREE, LOW, PAYING, TEST_QUEUE, UNFINISHED, Job
from stemsplitter.jobs.schemas import CreatedJob, JobView
from stemsplitter.quotas.service import Quotas
from stemsplitter.service_errors import Conflict, NotFound, RateLimited
from stemsplitter.settings import Settings
from stemsplitter.storage import Storage
from stemsplitter.webhooks.service import WebhookService

CANCELED = "CANCELED"
UNDO = timedelta(minutes=1)
# the files of a trashed job are deleted later than it can be restored, as the clocks of hosts differ
TRASHED = 2 * UNDO

J = TypeVar("J", bound=Job)
V = TypeVar("V", bound=JobView)


class JobService(ABC, Generic[J, V]):
    """Jobs of a kind: queue, read, cancel and delete them."""

    kind: type[J]
    noun: ClassVar[str]  # for messages: "split"

    def __init__(
        self,
        database: Database,
        settings: Settings,
        storage: Storage,
        credits: CreditService,
        webhooks: WebhookService,
        quotas: Quotas,
        endings: JobEndings,
    ) -> None:
        self._database, self._settings, self._storage = database, settings, storage
        self._credits, self._webhooks, self._quotas = credits, webhooks, quotas
        self.endings = endings

    @abstractmethod
    def _view(self, job: J) -> V:
        """Return the job as clients see it."""

    def get(self, account_id: str, job_id: str) -> V:
        """Return the account's job. Raises NotFound."""
        with self._database.read() as session:
            return self._view(self._owned(session, account_id, job_id))

    def page(
        self, account_id: str, *, limit: int, cursor: str | None, status: str | None
    ) -> tuple[Sequence[V], str | None]:
        """Return a page of the account's jobs and the next cursor: see :func:`~stemsplitter.database.paging.page`."""
        with self._database.read() as session:
            found, after = repository.page(
                session, self.kind, account_id, limit=limit, cursor=cursor, status=status
            )
            return [self._view(job) for job in found], after

    def cancel(self, account_id: str, job_id: str) -> V:
        """End the job and release its credits; a worker that runs it stops soon.

        Raises:
            NotFound: the account has no such job.
            Conflict: it has already ended otherwise.
        """
        message = f"The {self.noun} was canceled; its credits were given back."
        with self._database.write() as session:
            job = self._owned(session, account_id, job_id)
            ended = self.endings.fail(session, job_id, None, CANCELED, message)
            if ended is None and job.error_code != CANCELED:
                raise Conflict(
                    f"{job_id} has already {job.status}: only a queued or processing {self.noun} can be canceled."
                )
            return self._view(job)

    def delete(self, account_id: str, job_id: str) -> None:
        """Delete the job, its source and what it made.

        Raises:
            NotFound: the account has no such job.
            Conflict: it is queued or processing.
        """
        with self._database.write() as session:
            job = self._owned(session, account_id, job_id)
            if job.status in UNFINISHED:
                raise Conflict(f"{job_id} is {job.status}: cancel it first, or wait until it has ended.")
        self.delete_files(job)

    def trash(self, account_id: str, job_ids: Sequence[str]) -> tuple[list[str], int]:
        """Delete jobs so that :meth:`restore` can undo it for :data:`UNDO`; maintenance deletes their files later.

        Returns:
            The ids of the jobs deleted, and the number of those that have not ended, which stay.
        """
        deleted, unfinished = [], 0
        with self._database.write() as session:
            for job_id in dict.fromkeys(job_ids):
                if repository.owned(session, self.kind, account_id, job_id) is None:
                    continue
                if repository.trash(session, job_id):
                    deleted.append(job_id)
                else:
                    unfinished += 1
        return deleted, unfinished

    def restorable(self, account_id: str, job_ids: Sequence[str]) -> list[str]:
        """Return those of the ids that :meth:`restore` would restore now."""
        with self._database.read() as session:
            found = repository.restorable(session, self.kind, account_id, job_ids, now() - UNDO, lock=False)
            return [job.id for job in found]

    def restore(self, account_id: str, job_ids: Sequence[str]) -> int:
        """Undo :meth:`trash` of jobs, and return the number restored."""
        with self._database.write() as session:
            found = repository.restorable(session, self.kind, account_id, job_ids, now() - UNDO, lock=True)
            for job in found:
                job.trashed_at = None
            return len(found)

    def delete_files(self, job: Job) -> None:
        """Delete the files of a finished job, then mark it as deleted. Can be repeated after a crash."""
        self._storage.delete_prefix(f"splits/{job.id}")
        if job.source_key:
            self._storage.delete(job.source_key)
        with self._database.write() as session:
            repository.mark_deleted(session, job.id)
            self._forget(session, job)
            self._quotas.release(session, job.id)

    def _forget(self, session: Session, job: Job) -> None:
        """Delete the rows that belong to a deleted job."""

    def _check_some(self, account_id: str, *, is_free: bool = False) -> None:
        """Check that the account may create a job at all, before anything is downloaded or measured.

        Raises:
            RateLimited, InsufficientCredits, QuotaExceeded, Busy: as :meth:`_queue`.
        """
        with self._database.read() as session:
            self._check_queue(session, account_id)
            if not is_free:
                self._credits.check_some(session, account_id)
            self._quotas.check_some(session, account_id)

    def _queue(self, session: Session, job: J, cost: int, size: int) -> None:
        """Add a job to the queue, reserve its credits and the largest ``size`` of its files in bytes.

        Raises:
            RateLimited: too many of the account's jobs are unfinished.
            InsufficientCredits: the balance does not cover the cost.
            QuotaExceeded, Busy: the account or the disk has too little space.
        """
        account_id = job.account_id
        self._quotas.reserve(session, account_id, job.id, size + job.text_bytes)
        if job.is_test:
            outcomes.check_credits(job.input_name, cost)
        job.credits_used = self._credits.hold(session, account_id, job.id, cost)
        self._credits.lock(session, account_id)  # serializes the turns of an account
        if job.is_test:
            job.model_name = TEST_QUEUE
        if job.priority != LOW:
            # test jobs of all accounts have one order, so that the turns of free ones stay those of the other queues
            is_first = job.is_test or self._credits.has_bought(session, account_id)
            job.priority = PAYING if is_first else FREE
        queue.place(session, job)
        session.add(job)
        session.flush()

    def _created(self, session: Session, job: J, record: Record) -> Mapping[str, Any]:
        """Record the response to the creation of a queued job, and return its data, a :class:`CreatedJob`."""
        created = CreatedJob.model_validate(job, from_attributes=True)
        data = created.model_dump(mode="json", by_alias=True)
        record(session, data)
        return data

    def _check_queue(self, session: Session, account_id: str) -> None:
        limit = self._settings.max_queued_splits
        if repository.count_unfinished(session, account_id) >= limit:
            raise RateLimited(
                f"{limit} of your jobs are unfinished: create more when some have ended.",
                "queued splits",
            )

    def _owned(self, session: Session, account_id: str, job_id: str) -> J:
        job = repository.owned(session, self.kind, account_id, job_id)
        if job is None:
            raise NotFound(
                f"There is no {self.noun} {job_id}: check the id; its files may have been deleted."
            )
        return job
