"""Jobs of the tools as clients see them."""

from typing import Any

from stemsplitter.jobs.endings import JobEndings
from stemsplitter.jobs.models import FAILED, SUCCEEDED, Job
from stemsplitter.jobs.schemas import JobError
from stemsplitter.tool_jobs.models import AnalysisJob, EffectJob, SpeechJob, ToolJob
from stemsplitter.tool_jobs.schemas import AnalysisJobView, EffectJobView, SpeechJobView, ToolJobView


class ToolEndings(JobEndings):
    """Ends jobs of the tools in the caller's transaction, and renders them for clients."""

    def job_view(self, job: Job) -> ToolJobView:
        """Return the job as clients see it."""
        if isinstance(job, AnalysisJob):
            return self.analysis(job)
        if isinstance(job, EffectJob):
            return self.effect(job)
        assert isinstance(job, SpeechJob)
        return self.speech(job)

    def analysis(self, job: AnalysisJob) -> AnalysisJobView:
        """Return an analysis as clients see it."""
        none = {"tempo": None, "key": None, "tuning_cents": None}
        return AnalysisJobView.model_validate({**self._common(job), **none, **(job.analysis or {})})

    def effect(self, job: EffectJob) -> EffectJobView:
        """Return an effect as clients see it."""
        return EffectJobView.model_validate(
            {
                **self._common(job),
                "effect": job.parameters["effect"],
                "parameters": job.parameters["parameters"],
                "drums_apart": bool(job.processing and job.processing.get("drumsApart")),
                "output_format": job.output_format,
                "outputs": self._outputs(job),
            }
        )

    def speech(self, job: SpeechJob) -> SpeechJobView:
        """Return a speech as clients see it."""
        return SpeechJobView.model_validate(
            {
                **self._common(job),
                **{name: job.parameters[name] for name in ("voice", "speed", "pitch")},
                "characters": len(job.parameters["text"]),
                "output_format": job.output_format,
                "outputs": self._outputs(job),
            }
        )

    def _common(self, job: ToolJob) -> dict[str, Any]:
        is_failed = job.status == FAILED
        return {
            **{name: getattr(job, name) for name in _COLUMNS},
            # a failure releases the whole reservation
            "credits_refunded": job.credits_used if is_failed else None,
            "test": job.is_test or None,
            "error": JobError(code=job.error_code or "", message=job.error_message or "")
            if is_failed
            else None,
            "metadata": job.user_metadata,
            "warnings": (job.processing or {}).get("warnings", []),
        }

    def _outputs(self, job: ToolJob) -> dict[str, str] | None:
        return self.urls(job.outputs or {}) if job.status == SUCCEEDED else None


_COLUMNS = (
    "id", "status", "filename", "duration_seconds", "credits_used", "created_at", "updated_at", "progress",
    "expires_at",
)  # fmt: skip
