"""The Python library: separates songs into stems without a server or a database.

>>> from stemsplitter import Separator
>>> separator = Separator()
>>> result = separator.separate("song.mp3")
>>> result.stems["vocals"]

Libraries of songs, folders or prefixes of buckets, are separated on a cluster of dask or on a server:

>>> from stemsplitter.library import LibrarySettings, separate_library
>>> settings = LibrarySettings(format="flac")
>>> for result in separate_library("s3://music/in", "s3://music/stems", settings, client):
...     print(result.song, result.error)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from stemsplitter.library.results import ModelUsed, Progress, Separation, StemFiles, Stems
from stemsplitter.library.separator import Separator

if TYPE_CHECKING:
    from stemsplitter.library.cluster_runs import separate_library
    from stemsplitter.library.manifest import Manifest
    from stemsplitter.library.separating import separate_song
    from stemsplitter.library.server_runs import separate_library_on_server
    from stemsplitter.library.tasks import LibrarySettings, SongResult, SongTask

__all__ = [
    "LibrarySettings",
    "Manifest",
    "ModelUsed",
    "Progress",
    "Separation",
    "Separator",
    "SongResult",
    "SongTask",
    "StemFiles",
    "Stems",
    "separate_library",
    "separate_library_on_server",
    "separate_song",
]

# imported at first use: one song needs no client of a store
_MODULES = {
    "LibrarySettings": "tasks",
    "Manifest": "manifest",
    "SongResult": "tasks",
    "SongTask": "tasks",
    "separate_library": "cluster_runs",
    "separate_library_on_server": "server_runs",
    "separate_song": "separating",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
