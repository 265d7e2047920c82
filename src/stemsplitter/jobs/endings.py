"""The end of a job: status, credits and webhook change once, in one transaction."""

from abc import ABC, abstractmethod
from typing import Any

from sqlalchemy.orm import Session

from stemsplitter.credits.service import CreditService
from stemsplitter.jobs import repository
from stemsplitter.jobs.models import FAILED, SUCCEEDED, Job
from stemsplitter.jobs.schemas import JobView
from stemsplitter.quotas.service import Quotas
from stemsplitter.settings import Settings
from stemsplitter.storage import Storage
from stemsplitter.webhooks.service import WebhookService


class JobEndings(ABC):
    """Ends jobs in the caller's transaction, and renders them for clients."""

    def __init__(
        self,
        credits: CreditService,
        webhooks: WebhookService,
        quotas: Quotas,
        storage: Storage,
        settings: Settings,
    ) -> None:
        self._credits, self._webhooks, self._quotas = credits, webhooks, quotas
        self._storage, self._settings = storage, settings

    @abstractmethod
    def job_view(self, job: Job) -> JobView:
        """Return the job as clients see it, with signed URLs of its files."""

    def succeed(self, session: Session, job_id: str, lease: str, values: dict[str, Any], size: int) -> bool:
        """Settle the credits and create the webhook; False, without a change, if the run has lost its lease.

        ``values`` are columns of the job; ``size`` is that of the stored files, without the source, in bytes.
        """
        values = {"status": SUCCEEDED, "progress": 100, **values}
        job = repository.finish(session, job_id, lease, values)
        if job is None:
            return False
        if not job.is_test:  # which has no hold
            self._credits.settle(session, job_id)
        self._quotas.record(session, job_id, job.source_bytes + job.text_bytes + size)
        self._succeeded(session, job)
        self._create_webhook(session, job)
        return True

    def fail(
        self,
        session: Session,
        job_id: str,
        lease: str | None,
        code: str,
        message: str,
        cause: str | None = None,
    ) -> Job | None:
        """Release the credits and create the webhook; None, without a change, if the job has ended or the run
        ``lease`` has lost its lease. Only the operator sees ``cause``."""
        values = {"status": FAILED, "error_code": code, "error_message": message, "cause": cause}
        job = repository.finish(session, job_id, lease, values)
        if job is None:
            return None
        if not job.is_test:
            self._credits.release(session, job_id)
        self._quotas.record(session, job_id, job.source_bytes + job.text_bytes)
        self._create_webhook(session, job)
        return job

    def _succeeded(self, session: Session, job: Job) -> None:
        """Do what follows the success of a job of this kind."""
        return

    def urls(self, files: dict[str, dict[str, Any]]) -> dict[str, str]:
        """Return signed URLs of stored files, by their names."""
        return {
            name: self._storage.signed_url(
                file["key"], file["key"].rpartition("/")[2], file["mime"], self._settings.stem_url_seconds
            )
            for name, file in files.items()
        }

    def _create_webhook(self, session: Session, job: Job) -> None:
        endpoints = self._webhooks.endpoints_of(session, job.account_id, job.kind, job.status)
        if job.webhook_url or endpoints:
            data = self.job_view(job).model_dump(mode="json", by_alias=True)
            self._webhooks.create_event(session, job.kind, data, job.webhook_url, job.account_id, endpoints)
