"""Run a claimed split: separate its song, store the stems, and end the split."""

import threading
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stemsplitter import tracing
from stemsplitter.audio.peaks import MIME as PEAKS_MIME
from stemsplitter.catalogue.qualities import overlap_of
from stemsplitter.errors import AudioError, Stopped
from stemsplitter.files.names import shown
from stemsplitter.jobs.models import Job
from stemsplitter.jobs.processing import JobProcessor, LeaseLost
from stemsplitter.jobs.watch import Watch
from stemsplitter.splits.formats import output_format
from stemsplitter.splits.model_selection import separated_stems
from stemsplitter.splits.models import Split, masters_folder, overview_key, peaks_key, stems_folder
from stemsplitter.splits.service import present
from stemsplitter.splits.sizes import SLACK_SECONDS
from stemsplitter.worker.pool import Separated, SeparationRequest


@dataclass(frozen=True)
class _Stored:
    """The stored files of a split, as in its row, and the bytes of all."""

    stems: dict[str, dict[str, Any]]
    masters: dict[str, dict[str, Any]]
    size: int


class SplitProcessor(JobProcessor):
    """Runs splits, from as many threads at once as the pool separates songs."""

    noun = "split"
    verb = "The song could not be separated"

    def _finish(self, job: Job, folder: Path, abort: threading.Event) -> None:
        assert isinstance(job, Split)
        separated = self._separate(job, folder, abort)
        with tracing.span("store"):
            stored = self._store(job, separated, abort)
        values: dict[str, Any] = {
            "stems": stored.stems,
            "masters": stored.masters,
            "processing": {
                "device": separated.device.partition(" ")[0],
                "seconds": separated.seconds,
                "realtimeFactor": round(separated.seconds / max(separated.audio_seconds, 1e-3), 4),
            },
        }
        if separated.vocals_from:
            values["model"] = job.model | {"vocalsFrom": separated.vocals_from}
        self._succeed(job, values, stored.size, abort)

    def _separate(self, split: Split, folder: Path, abort: threading.Event) -> Separated:
        progress = Watch(self._database, split.id, split.lease or "", abort)
        with ExitStack() as stack:
            source = self._local(stack, split.source_key, abort)
            request = SeparationRequest(
                model=split.model["name"],
                stems=separated_stems(split.stem_model, tuple(split.requested_stems)),
                source=str(source),
                folder=str(folder / "stems"),
                format=output_format(split),
                max_seconds=split.duration_seconds + SLACK_SECONDS,
                instruments=present(split),
                max_sample_rate=self._settings.max_sample_rate,
                overlap=overlap_of(split.model.get("quality")),
            )
            try:
                with tracing.span("separate"):
                    return self._pool.separate(request, progress)
            except Stopped as error:
                if progress.lost:
                    raise LeaseLost from error
                self._release(split)
            except AudioError as error:
                # The user knows the song by its own name.
                raise AudioError(str(error).replace(shown(source), shown(split.filename))) from error

    def _store(self, split: Split, separated: Separated, abort: threading.Event) -> _Stored:
        """Store stems, masters and peaks under keys of the split, which another run of it overwrites with the same
        content."""
        stems: dict[str, dict[str, Any]] = {}
        masters: dict[str, dict[str, Any]] = {}
        for name in split.requested_stems:
            stem, master = Path(separated.stems[name]), separated.masters[name]
            stored = self._put_audio(split, masters_folder(split.id), Path(master["path"]), abort)
            masters[name] = stored | {"peak": master["peak"]}
            is_master = stem == Path(master["path"])
            stems[name] = stored if is_master else self._put_audio(split, stems_folder(split.id), stem, abort)
        files = {peaks_key: separated.peaks, overview_key: separated.overview}
        peaks = sum(
            self._put(split, key(split.id), Path(path), PEAKS_MIME, abort) for key, path in files.items()
        )
        sizes = {file["key"]: file["size"] for file in (*stems.values(), *masters.values())}
        return _Stored(stems, masters, peaks + sum(sizes.values()))

    def _folders(self, job: Job) -> tuple[str, ...]:
        return (stems_folder(job.id), masters_folder(job.id))
