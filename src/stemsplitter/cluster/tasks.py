"""The task of a worker: separates one song of a library. Models stay loaded between the songs of a process."""

import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from stemsplitter.catalogue.selection import ModelDownloader, candidates_for
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.cluster.locations import Location, open_location
from stemsplitter.errors import AudioError
from stemsplitter.files.temporary import remove_abandoned
from stemsplitter.library import Separator
from stemsplitter.library.results import result_fields
from stemsplitter.separation.layouts import parse_stems
from stemsplitter.tools.analyzing import analyze_song, to_data

_opening = threading.Lock()


@dataclass(frozen=True)
class LibrarySettings:
    """Settings of all songs of a run, as of :class:`~stemsplitter.library.Separator`.

    ``device``, ``precision`` and ``threads`` are those of each worker process.
    """

    model: str | None = None
    quality: str | None = None
    stems: str | None = None
    format: str = "flac"
    rate: int | None = None
    instruments: str | None = None
    overlap: float | None = None
    shifts: int = 1
    device: str = "auto"
    precision: str = "auto"
    threads: int | None = None

    def of_result(self) -> dict[str, Any]:
        """Return the settings that the stems depend on, for the manifest."""
        compute = ("device", "precision", "threads")
        return {name: value for name, value in asdict(self).items() if name not in compute}


@dataclass(frozen=True)
class SongTask:
    """A song of the library ``source``, whose stems go to a folder with its name in ``output``."""

    source: str
    output: str
    key: str
    settings: LibrarySettings
    content: str | None = None


@dataclass(frozen=True)
class SongResult:
    """The result of a song.

    Attributes:
        song: its path or URL.
        content: identifies its content, see :meth:`stemsplitter.library.manifest.Manifest.finished_files`.
        fields: files, stems with loudness, key and tempo, as in a manifest; empty if it failed.
        error: one sentence; None if it was separated.
    """

    song: str
    content: str | None
    fields: dict[str, Any]
    error: str | None = None


def separate_song(task: SongTask, stop: Callable[[], bool] | None = None) -> SongResult:
    """Separate one song and write its stems to ``output/KEY/STEM.EXTENSION``, all or none in a folder.

    The errors of a song are in its result. Errors of the machine are raised, so that the scheduler runs the task again,
    perhaps on another: full disks, a store that does not answer, missing memory.

    Raises:
        Stopped: ``stop`` returned true.
    """
    source, output = open_location(task.source), open_location(task.output)
    song = source.path(task.key)
    content = task.content or source.content(task.key)
    separator = _separator(task.settings)
    try:
        with source.reading(task.key) as path, output.writing(task.key) as folder:
            stems = separator.separate_to(
                path,
                folder,
                format=task.settings.format,
                sample_rate=task.settings.rate,
                instruments=task.settings.instruments,
                levels=True,
                stop=stop,
            )
            written = list(dict.fromkeys(file.path for file in stems.files))
            fields = result_fields(stems, written)
            fields["analysis"] = to_data(analyze_song(path))
    except AudioError as error:
        return SongResult(song, content, {}, " ".join(str(error).split()))
    return SongResult(song, content, _in_output(fields, folder, output, task.key))


def _in_output(fields: dict[str, Any], folder: Path, output: Location, key: str) -> dict[str, Any]:
    """Replace the paths of files in ``folder``, which may be temporary, by those in the output."""

    def placed(path: str) -> str:
        return output.path(f"{key}/{Path(path).relative_to(folder).as_posix()}")

    stems = {name: {**stem, "path": placed(stem["path"])} for name, stem in fields["stems"].items()}
    return {**fields, "files": [placed(path) for path in fields["files"]], "stems": stems}


def _separator(settings: LibrarySettings) -> Separator:
    with _opening:  # the first song of a process loads the model for all
        return _loaded(settings)


@lru_cache(maxsize=2)
def _loaded(settings: LibrarySettings) -> Separator:
    remove_abandoned()  # of workers that were killed on this machine
    store = ModelStore()
    if settings.model is None and settings.quality is None:
        candidates = candidates_for(parse_stems(settings.stems or "6s"), store.entries())
        ModelDownloader(store, lambda _: nullcontext(lambda done, total: None)).first_available(candidates)
    return Separator(
        settings.model,
        quality=settings.quality,
        stems=settings.stems,
        device=settings.device,
        precision=settings.precision,
        threads=settings.threads,
        overlap=settings.overlap,
        shifts=settings.shifts,
        store=store,
    )
