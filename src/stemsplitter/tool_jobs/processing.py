"""Run a claimed job of a tool: make its files, store them, and end the job."""

import math
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

from stemsplitter import tracing
from stemsplitter.errors import AudioError, RequestError
from stemsplitter.files.names import shown
from stemsplitter.jobs.models import Job, outputs_folder
from stemsplitter.jobs.processing import JobProcessor
from stemsplitter.languages import marked
from stemsplitter.splits.masters import current_key
from stemsplitter.splits.models import Split
from stemsplitter.storage.errors import FileMissing
from stemsplitter.tool_jobs.models import ToolJob
from stemsplitter.worker.process import ToolRequest, ToolResult

DRUMS = "drums"


class ToolProcessor(JobProcessor):
    """Runs jobs of the tools."""

    noun: ClassVar[str] = marked("job")
    verb: ClassVar[str] = marked("The job could not be finished")

    def _finish(self, job: Job, folder: Path, abort: threading.Event) -> None:
        assert isinstance(job, ToolJob)
        made = self._make(job, folder, abort)
        with tracing.span("store"):
            outputs = {
                name: self._put_audio(job, outputs_folder(job.id), Path(path), abort)
                for name, path in made.outputs.items()
            }
        values: dict[str, Any] = {
            "outputs": outputs,
            "analysis": made.analysis,
            "processing": {
                "seconds": made.seconds,
                "drumsApart": made.drums_apart,
                "warnings": list(made.warnings),
            },
        }
        if not job.source_key:
            values["duration_seconds"] = max(math.ceil(made.audio_seconds), 1)
        self._succeed(job, values, sum(file["size"] for file in outputs.values()), abort)

    def _make(self, job: ToolJob, folder: Path, abort: threading.Event) -> ToolResult:
        with ExitStack() as stack:
            source = self._local(stack, job.source_key, abort) if job.source_key else None
            request = ToolRequest(
                tool=job.kind,
                parameters=job.parameters,
                source=None if source is None else str(source),
                drums=self._drums(stack, job, abort),
                folder=str(folder),
                format=job.output_format or "",
            )
            try:
                return self._watched(job, abort, job.kind, lambda watch: self._pool.run_tool(request, watch))
            except (AudioError, RequestError) as error:
                # The user knows the source by its own name.
                message = str(error).replace(shown(source), shown(job.filename)) if source else str(error)
                raise AudioError(message) from error

    def _drums(self, stack: ExitStack, job: ToolJob, abort: threading.Event) -> str | None:
        """Return the drums stem of the split that is the source; None if there is none, or it was deleted."""
        split_id = job.parameters.get("splitId")
        if split_id is None or job.parameters.get("stem") is not None:
            return None
        with self._database.read() as session:
            split = session.get(Split, split_id)
        if split is None or split.deleted_at is not None or DRUMS not in (split.masters or {}):
            return None
        try:
            key = current_key(self._storage, (split.masters or {})[DRUMS]["key"])
            return str(self._local(stack, key, abort))
        except FileMissing:  # deleted meanwhile
            return None
