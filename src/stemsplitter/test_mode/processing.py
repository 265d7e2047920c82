"""Run jobs of test keys, in the worker itself: whatever their source is, the results are those of the built-in song."""

import threading
import time
from dataclasses import asdict
from pathlib import Path

from stemsplitter.jobs import outcomes
from stemsplitter.jobs.models import SPEECH
from stemsplitter.jobs.watch import Watch
from stemsplitter.splits.formats import output_format
from stemsplitter.splits.model_selection import separated_stems
from stemsplitter.splits.models import Split
from stemsplitter.splits.processing import SEPARATE, SplitProcessor
from stemsplitter.splits.service import present
from stemsplitter.test_mode.files import write_stems, write_voice, write_voice_and_noise
from stemsplitter.test_mode.song import SECONDS, write_song
from stemsplitter.tool_jobs.models import ISOLATOR, ToolJob
from stemsplitter.tool_jobs.processing import ToolProcessor
from stemsplitter.worker.pool import Separated
from stemsplitter.worker.process import ToolRequest, ToolResult
from stemsplitter.worker.tool_runs import run_tool


class BuiltInSplitProcessor(SplitProcessor):
    """Runs splits of test keys."""

    def _separate(self, split: Split, folder: Path, abort: threading.Event) -> Separated:
        def write(watch: Watch) -> Separated:
            outcomes.happen(split.input_name, watch)
            names = separated_stems(split.stem_model, tuple(split.requested_stems))
            return write_stems(names, output_format(split), folder / "stems", present(split))

        return self._watched(split, abort, SEPARATE, write)


class BuiltInToolProcessor(ToolProcessor):
    """Runs jobs of the tools of test keys."""

    def _make(self, job: ToolJob, folder: Path, abort: threading.Event) -> ToolResult:
        def make(watch: Watch) -> ToolResult:
            outcomes.happen(job.input_name, watch)
            return _run(job, folder, watch)

        return self._watched(job, abort, job.kind, make)


def _run(job: ToolJob, folder: Path, watch: Watch) -> ToolResult:
    """Return the result for the song. That of speech and the voice isolator is its voice: not every worker has them.

    Raises:
        Stopped: the watch returned true.
    """
    started = time.perf_counter()
    if job.kind == SPEECH:
        outputs = write_voice(folder, job.output_format)
        return ToolResult(outputs, round(time.perf_counter() - started, 3), audio_seconds=SECONDS)
    if job.parameters.get("effect") == ISOLATOR:
        outputs = write_voice_and_noise(folder, job.output_format)
        return ToolResult(outputs, round(time.perf_counter() - started, 3))
    song = write_song(folder / "song.wav")
    request = ToolRequest(job.kind, job.parameters, str(song), None, str(folder), job.output_format or "")
    must_stop = False

    def send_progress(fraction: float) -> None:
        nonlocal must_stop
        must_stop = watch(fraction)

    return ToolResult(**run_tool(asdict(request), send_progress, lambda: must_stop))
