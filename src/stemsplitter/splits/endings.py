"""Splits as clients see them."""

from typing import Any

from sqlalchemy import Row
from sqlalchemy.orm import Session

from stemsplitter import account_ids
from stemsplitter.audio.previews import DEFAULT_CODEC
from stemsplitter.jobs.endings import JobEndings
from stemsplitter.jobs.models import FAILED, LOW, SUCCEEDED, Job
from stemsplitter.jobs.service import CANCELED
from stemsplitter.notices import service as notices
from stemsplitter.splits.derived import content
from stemsplitter.splits.derived import repository as derived
from stemsplitter.splits.models import Split
from stemsplitter.splits.schemas import ModelUsed, Processing, SplitError, SplitView
from stemsplitter.splits.sizes import previews_bytes


class Endings(JobEndings):
    """Ends splits in the caller's transaction, and renders them for clients."""

    def job_view(self, job: Job) -> SplitView:
        """Return the split as clients see it."""
        assert isinstance(job, Split)
        return self.view(job)

    def fail(
        self,
        session: Session,
        job_id: str,
        lease: str | None,
        code: str,
        message: str,
        cause: str | None = None,
    ) -> Job | None:
        """End a split without stems, and report it unless the account canceled it. See :meth:`JobEndings.fail`."""
        job = super().fail(session, job_id, lease, code, message, cause)
        if job is not None and code != CANCELED:
            self._report(session, job, failed=True)
        return job

    def _succeeded(self, session: Session, job: Job) -> None:
        """Queue the previews and the measurement of the stems, and report the success."""
        assert isinstance(job, Split)
        self._report(session, job, failed=False)
        previews = derived.add(session, job, content.previews(job, DEFAULT_CODEC), job.expires_at)
        size = previews_bytes(len(job.masters or {}), job.duration_seconds)
        self._quotas.add(session, job.account_id, job.id, size, name=previews.id)
        derived.add(session, job, content.measurement(job), job.expires_at)

    def _report(self, session: Session, job: Job, *, failed: bool) -> None:
        assert isinstance(job, Split)
        item = {"name": job.title or job.filename, "path": f"/splits/{job.id}", "failed": failed}
        notices.add_done(session, self._settings, job.account_id, item)

    def view(self, split: Split | Row[Any]) -> SplitView:
        """Return the split as clients see it, with signed URLs of its stems."""
        return SplitView.model_validate(
            {
                **{name: getattr(split, name) for name in _COLUMNS},
                "priority": "low" if split.priority == LOW else None,
                # a failure releases the whole reservation
                "credits_refunded": split.credits_used if split.status == FAILED else None,
                "test": account_ids.is_test(split.account_id) or None,
                "stems": self.urls(split.stems or {}) if split.status == SUCCEEDED else None,
                "error": SplitError(code=split.error_code or "", message=split.error_message or "")
                if split.status == FAILED
                else None,
                "model": ModelUsed.model_validate(split.model),
                "processing": Processing.model_validate(split.processing) if split.processing else None,
                "metadata": split.user_metadata,
                "levels": split.levels,
                "analysis": split.analysis,
            }
        )


_COLUMNS = (
    "id", "status", "stem_model", "filename", "duration_seconds", "credits_used", "created_at", "updated_at",
    "progress", "output_format", "expires_at", "instruments", "title", "artist",
)  # fmt: skip
