"""Creation of jobs that have a source: splits, and the jobs of the tools for songs."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

from stemsplitter import tracing
from stemsplitter.clock import now
from stemsplitter.idempotency.service import Record
from stemsplitter.jobs.models import Job
from stemsplitter.jobs.service import J, JobService, V
from stemsplitter.splits.schemas import DirectUrl, Link, UploadedFile
from stemsplitter.splits.sources import Source, Sources, Stored


class SourcedJobService(JobService[J, V]):
    """Service of jobs that have a source."""

    _sources: Sources

    def _queue_source(
        self,
        job: J,
        given: DirectUrl | Link | UploadedFile | Stored,
        cost: Callable[[Source], int],
        files_bytes: Callable[[Source], int],
        record: Record,
    ) -> Mapping[str, Any]:
        """Obtain the source, and queue the job and hold its credits in one transaction.

        Args:
            cost: returns the credits.
            files_bytes: returns the largest size of the files that are made, in bytes.

        Raises:
            ValidationFailed: the source is not a song.
            Conflict: another job uses the upload.
            InsufficientCredits, RateLimited, QuotaExceeded, Busy: as :meth:`_queue`.
        """
        with ExitStack() as stack:
            with tracing.span("obtain source"):
                source = stack.enter_context(self._sources.obtain(job.account_id, job.id, given))
            session = stack.enter_context(self._database.write())
            self._check_queue(session, job.account_id)
            if source.upload is not None:
                self._sources.claim(session, job.account_id, source.upload)
            self._fill(job, source)
            self._queue(session, job, cost(source), source.size + files_bytes(source))
            return self._created(session, job, record)

    def _fill(self, job: Job, source: Source) -> None:
        """Set what a job has of its source, and its times."""
        job.source_key, job.source_bytes, job.filename = source.key, source.size, source.filename
        job.duration_seconds = source.seconds
        job.created_at = job.updated_at = now()
        job.expires_at = job.created_at + timedelta(days=self._settings.retention_days)
