"""Separation of a library of songs on many machines, with dask.distributed.

>>> from stemsplitter.cluster import LibrarySettings, separate_library
>>> settings = LibrarySettings(format="flac")
>>> for result in separate_library("s3://music/in", "s3://music/stems", settings, client):
...     print(result.song, result.error)
"""

from stemsplitter.cluster.connection import connected
from stemsplitter.cluster.runs import separate_library
from stemsplitter.cluster.tasks import LibrarySettings, SongResult, SongTask, separate_song

__all__ = ["LibrarySettings", "SongResult", "SongTask", "connected", "separate_library", "separate_song"]
