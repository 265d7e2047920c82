"""The songs of a library as tasks, the settings of a run, and the results of its songs."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from stemsplitter.errors import RequestError
from stemsplitter.library.locations import are_stored, open_location
from stemsplitter.library.manifest import Manifest

MAX_RUNS = 8
"""Runs of a song whose machines fail: machines fail more often than a song makes them."""

PAUSES_S = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before a song runs again; the last of them before all further runs."""


@dataclass(frozen=True)
class LibrarySettings:
    """Settings of all songs of a run, as of :class:`~stemsplitter.library.Separator`.

    ``device``, ``precision`` and ``threads`` are those of each worker process. With ``verify``, stems are decoded and
    compared with their song before they are stored, and a song is skipped only if its stems are still in their bucket.
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
    verify: bool = False

    def of_result(self) -> dict[str, Any]:
        """Return the settings that the stems depend on, for the manifest."""
        others = ("device", "precision", "threads", "verify")
        return {name: value for name, value in asdict(self).items() if name not in others}


@dataclass(frozen=True)
class SongTask:
    """A song of the library ``source``, whose stems go to a folder with its name in ``output``.

    ``content`` is that of the listing, as in :class:`~stemsplitter.library.locations.FoundSong`.
    """

    source: str
    output: str
    key: str
    settings: LibrarySettings
    content: str | None = None

    @property
    def song(self) -> str:
        """Path or URL of the song."""
        return open_location(self.source).path(self.key)


@dataclass(frozen=True)
class SongResult:
    """The result of a song.

    Attributes:
        song: its path or URL.
        content: identifies its content, see :meth:`stemsplitter.library.manifest.Manifest.finished`.
        fields: files, stems with loudness, key and tempo, as in a manifest; empty if it failed.
        error: one sentence; None if it was separated.
    """

    song: str
    content: str | None
    fields: dict[str, Any] = field(default_factory=dict)
    error: str | None = None

    @classmethod
    def failed(cls, song: str, content: str | None, error: object) -> "SongResult":
        """Return the result of a song that failed with an error."""
        return cls(song, content, {}, " ".join(str(error).split()))


def song_tasks(
    source: str, output: str, settings: LibrarySettings, done: Manifest | None = None
) -> Iterator[SongTask]:
    """Yield the songs of a library, listing it as they are consumed, without those that ``done`` has.

    Stems of earlier songs in ``source``, which are in ``output``, are no songs.

    Raises:
        RequestError: both are the same place, so that stems and songs could not be told apart; or, at the end, there
            is no song.
    """
    inside = _inside(source, output)
    if inside == "":
        raise RequestError(f"{source} cannot be the library and its output: name another output.")
    return _tasks(SongTask(source, output, "", settings), inside, done)


def add_to(manifest: Manifest | None, result: SongResult) -> None:
    """Append the line of a result to a manifest, if there is one."""
    if manifest is not None:
        manifest.add(result.song, result.content, result.fields or {"error": result.error})


def pause_before(run: int) -> float:
    """Return the seconds before the second, third … run of a song whose machine failed."""
    return PAUSES_S[min(run - 2, len(PAUSES_S) - 1)]


def _tasks(any_song: SongTask, inside: str | None, done: Manifest | None) -> Iterator[SongTask]:
    library, is_empty = open_location(any_song.source), True
    for song in library.songs():
        if inside is not None and song.key.startswith(inside):
            continue
        is_empty, content = False, song.content
        if done is not None:
            content = content or library.content(song.key)
            if _is_done(done, content, any_song.settings):
                continue
        yield replace(any_song, key=song.key, content=content)
    if is_empty:
        raise RequestError(f"{any_song.source} contains no songs: name another folder or prefix.")


def _is_done(done: Manifest, content: str | None, settings: LibrarySettings) -> bool:
    line = done.finished(content) if content is not None else None
    return line is not None and (not settings.verify or are_stored(line))


def _inside(source: str, output: str) -> str | None:
    """Return the start of keys in ``source`` that are in ``output``; None if it is elsewhere."""
    source, output = source.rstrip("/") + "/", output.rstrip("/") + "/"
    return output[len(source) :] if output.startswith(source) else None
