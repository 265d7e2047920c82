"""Storing of the files of a separation, by a worker of the server or of a cluster."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stemsplitter.audio.peaks import MIME as PEAKS_MIME
from stemsplitter.jobs.processing import put_audio
from stemsplitter.splits.models import masters_folder, overview_key, peaks_key, stems_folder
from stemsplitter.worker.pool import Separated

Put = Callable[[str, Path, str, str], int]
"""Stores a file under a key, with its media type and its name for downloads, and returns its size."""


@dataclass(frozen=True)
class StoredStems:
    """The stored files of a split, as in its row, and the bytes of all."""

    stems: dict[str, dict[str, Any]]
    masters: dict[str, dict[str, Any]]
    size: int


def store_stems(split_id: str, names: Sequence[str], separated: Separated, put: Put) -> StoredStems:
    """Store stems, masters and peaks under keys of the split, which another run of it overwrites with the same
    content."""
    stems: dict[str, dict[str, Any]] = {}
    masters: dict[str, dict[str, Any]] = {}
    for name in names:
        stem, master = Path(separated.stems[name]), separated.masters[name]
        stored = put_audio(put, masters_folder(split_id), Path(master["path"]))
        masters[name] = stored | {"peak": master["peak"]}
        is_master = stem == Path(master["path"])
        stems[name] = stored if is_master else put_audio(put, stems_folder(split_id), stem)
    files = {peaks_key: separated.peaks, overview_key: separated.overview}
    peaks = sum(put(key(split_id), Path(path), PEAKS_MIME, "") for key, path in files.items())
    sizes = {file["key"]: file["size"] for file in (*stems.values(), *masters.values())}
    return StoredStems(stems, masters, peaks + sum(sizes.values()))
