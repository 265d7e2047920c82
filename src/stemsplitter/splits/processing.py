"""Run a claimed split: separate its song, store the stems, and end the split."""

import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from stemsplitter import tracing
from stemsplitter.catalogue.qualities import overlap_of
from stemsplitter.database import Database
from stemsplitter.errors import AudioError
from stemsplitter.files.names import shown
from stemsplitter.jobs.endings import JobEndings
from stemsplitter.jobs.models import Job
from stemsplitter.jobs.processing import JobProcessor
from stemsplitter.languages import marked
from stemsplitter.settings import Settings
from stemsplitter.splits.formats import output_format
from stemsplitter.splits.model_selection import separated_stems
from stemsplitter.splits.models import Split, masters_folder, stems_folder
from stemsplitter.splits.remote import ClusterRuns, RemoteSplit
from stemsplitter.splits.service import present
from stemsplitter.splits.sizes import SLACK_SECONDS
from stemsplitter.splits.storing import StoredStems, store_stems
from stemsplitter.storage import Storage
from stemsplitter.worker.pool import Separated, SeparationPool, SeparationRequest

SEPARATE = "separate"  # name of the span of a trace


class SplitProcessor(JobProcessor):
    """Runs splits, from as many threads at once as the pool separates songs."""

    noun = marked("split")
    verb = marked("The song could not be separated")

    def _finish(self, job: Job, folder: Path, abort: threading.Event) -> None:
        assert isinstance(job, Split)
        separated, stored = self._separate_and_store(job, folder, abort)
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

    def _separate_and_store(
        self, split: Split, folder: Path, abort: threading.Event
    ) -> tuple[Separated, StoredStems]:
        separated = self._separate(split, folder, abort)

        def put(key: str, path: Path, mime: str, name: str) -> int:
            return self._put(split, key, path, mime, abort, name)

        with tracing.span("store"):
            return separated, store_stems(split.id, split.requested_stems, separated, put)

    def _separate(self, split: Split, folder: Path, abort: threading.Event) -> Separated:
        with ExitStack() as stack:
            source = self._local(stack, split.source_key, abort)
            request = self._request(split, str(source), str(folder / "stems"))
            try:
                return self._watched(
                    split, abort, SEPARATE, lambda watch: self._pool.separate(request, watch)
                )
            except AudioError as error:
                # The user knows the song by its own name.
                raise AudioError(str(error).replace(shown(source), shown(split.filename))) from error

    def _request(self, split: Split, source: str, folder: str) -> SeparationRequest:
        return SeparationRequest(
            model=split.model["name"],
            stems=separated_stems(split.stem_model, tuple(split.requested_stems)),
            source=source,
            folder=folder,
            format=output_format(split),
            max_seconds=split.duration_seconds + SLACK_SECONDS,
            instruments=present(split),
            max_sample_rate=self._settings.max_sample_rate,
            overlap=overlap_of(split.model.get("quality")),
            # FLAC costs processor time, raw files cost transfers: a folder needs none
            raw_masters=self._storage.is_folder,
        )

    def _folders(self, job: Job) -> tuple[str, ...]:
        return (stems_folder(job.id), masters_folder(job.id))


class ClusterSplitProcessor(SplitProcessor):
    """Runs splits on a cluster of dask, from as many threads at once as there are."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        storage: Storage,
        endings: JobEndings,
        pool: SeparationPool,
        cluster: ClusterRuns,
    ) -> None:
        super().__init__(database, settings, storage, endings, pool)
        self._cluster = cluster

    def _separate_and_store(
        self, split: Split, folder: Path, abort: threading.Event
    ) -> tuple[Separated, StoredStems]:
        remote = RemoteSplit(
            split_id=split.id,
            filename=split.filename,
            source_key=split.source_key,
            names=tuple(split.requested_stems),
            request=self._request(split, "", ""),
            storage_url=self._settings.storage,
            addressing=self._settings.storage_addressing,
            device=self._settings.device,
            threads=self._settings.threads,
        )
        return self._watched(split, abort, SEPARATE, lambda watch: self._cluster.run(remote, watch))
