"""The task of a worker: separates one song of a library. Models stay loaded between the songs of a process."""

import threading
from collections.abc import Callable
from contextlib import nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any

from stemsplitter.catalogue.selection import ModelDownloader, candidates_for
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.errors import AudioError
from stemsplitter.files.temporary import remove_abandoned
from stemsplitter.library.analyzing import analyze_song, to_data
from stemsplitter.library.locations import Location, StemFolder, open_location
from stemsplitter.library.results import ShouldStop, result_fields
from stemsplitter.library.separator import Separator
from stemsplitter.library.tasks import LibrarySettings, SongResult, SongTask
from stemsplitter.library.verification import verify_files
from stemsplitter.separation.layouts import parse_stems

_opening = threading.Lock()


def separate_song(task: SongTask, stop: Callable[[], bool] | None = None) -> SongResult:
    """Separate one song and write its stems to ``output/KEY/STEM.EXTENSION``, all or none in a folder.

    The errors of a song are in its result. Errors of the machine are raised, so that the scheduler runs the task again,
    perhaps on another: full disks, a store that does not answer, missing memory.

    Raises:
        Stopped: ``stop`` returned true.
    """
    source, output = open_location(task.source), open_location(task.output)
    content = task.content
    separator = _separator(task.settings)
    try:
        with source.reading(task.key) as song, output.writing(task.key) as folder:
            content = song.content
            fields = _separated(separator, song.path, folder.path, task.settings, stop)
            fields["analysis"] = to_data(analyze_song(song.path))
    except AudioError as error:
        return SongResult.failed(task.song, content, error)
    return SongResult(task.song, content, _in_output(fields, folder, output, task.key))


def _separated(
    separator: Separator, song: Path, folder: Path, settings: LibrarySettings, stop: ShouldStop | None
) -> dict[str, Any]:
    """Separate a song into a folder and return the fields of its result."""
    stems = separator.separate_to(
        song,
        folder,
        format=settings.format,
        sample_rate=settings.rate,
        instruments=settings.instruments,
        levels=True,
        stop=stop,
    )
    written = list(dict.fromkeys(file.path for file in stems.files))
    encoded = verify_files(song, stems).residual_dbfs if settings.verify else None
    return result_fields(stems, written, encoded)


def _in_output(fields: dict[str, Any], folder: StemFolder, output: Location, key: str) -> dict[str, Any]:
    """Replace the paths of files in ``folder``, which may be temporary, by those in the output, with entity tags."""

    def placed(path: str) -> str:
        return output.path(f"{key}/{Path(path).relative_to(folder.path).as_posix()}")

    stems = {
        name: {**stem, "path": placed(stem["path"]), **folder.tag_of(Path(stem["path"]).name)}
        for name, stem in fields["stems"].items()
    }
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
