"""Output files of each song of a run, by a template."""

import os
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, count, islice, product
from pathlib import Path

from stemsplitter.audio.formats import FORMATS, STEM_FILE
from stemsplitter.cli.output import printable
from stemsplitter.cli.songs import Song, is_same
from stemsplitter.errors import OutputError, RequestError
from stemsplitter.files.names import shown
from stemsplitter.files.templates import fill_fields, fill_template, fitting_track, template_fields

FIELDS = ("folder", "track", "trackext", "stem", "ext")
PER_STEM = "{folder}/{track}/{stem}.{ext}"
ONE_FILE = "{folder}/{track}/{track}.{ext}"
ONE_FILE_EXTENSIONS = ("zip", STEM_FILE)


@dataclass(frozen=True)
class Target:
    """The output of one song.

    ``filename`` is the template of its files in ``output`` with the fields ``stem`` and ``ext``, None for the default
    of the library; ``files`` are those that this run writes.
    """

    song: Song
    output: Path
    filename: str | None
    files: tuple[Path, ...]
    alternatives: tuple[str, ...]

    @cached_property
    def possible(self) -> tuple[Path, ...]:
        """The files that a run with any format and stems writes."""
        from stemsplitter.separation.layouts import STEM_NAMES  # imports NumPy

        paths = dict.fromkeys(self.files)
        for template in self.alternatives:
            stems = STEM_NAMES if "stem" in template_fields(template, ("stem", "ext")) else ("",)
            extensions = dict.fromkeys(entry.extension for entry in FORMATS.values())
            for stem, extension in product(stems, (*extensions, *ONE_FILE_EXTENSIONS)):
                paths[self.output / fill_template(template, stem=stem, ext=extension)] = None
        return tuple(paths)

    @property
    def folder(self) -> Path:
        """The innermost folder that contains all files."""
        return Path(os.path.commonpath([path.parent for path in self.files]))

    def earlier(self) -> list[Path]:
        """Return the existing files of earlier runs."""
        if not os.path.lexists(self.output):
            return []
        return [path for path in self.possible if os.path.lexists(path) and not is_same(path, self.song.path)]

    def is_done(self) -> bool:
        """Return True if all files of this run exist."""
        return all(os.path.lexists(path) for path in self.files)

    def refuse(self, *, overwrite: bool = False) -> OutputError | None:
        """Return the error if files would be replaced: the song itself, or those of an earlier run."""
        if any(is_same(path, self.song.path) for path in self.files):
            return OutputError(
                f"The stems of {shown(self.song.path)} would replace it: choose another output folder."
            )
        earlier = [] if overwrite else self.earlier()
        return OutputError(f"{_shown(self.folder)} has {_what(earlier)}: {CHOICE}.") if earlier else None

    def remove_earlier(self) -> None:
        """Delete the files of earlier runs that this run has not replaced."""
        for path in set(self.earlier()).difference(self.files):
            path.unlink()


CHOICE = "add --overwrite to replace them or --skip-existing to keep the stems that are complete"


def _shown(folder: Path) -> str:
    return printable(str(folder))


def _what(files: list[Path]) -> str:
    names = ", ".join(shown(path) for path in files[:2])
    return f"stems of an earlier run ({names}{', …' if len(files) > 2 else ''})"


def refuse_existing(*paths: Path, overwrite: bool, choice: str = "output") -> None:
    """Refuse to replace a file without --overwrite; ``choice`` names what else the user can choose.

    Raises:
        OutputError: one of the files exists.
    """
    existing = next((path for path in paths if path.exists()), None)
    if existing is not None and not overwrite:
        raise OutputError(
            f"{shown(existing)} exists: add --overwrite to replace it, or choose another {choice}."
        )


def check_earlier(targets: Iterable[Target]) -> None:
    """Refuse a run before it starts if some of its songs have been separated already.

    Raises:
        RequestError: files of earlier runs exist.
    """
    refused = [(target, error) for target in targets if (error := target.refuse())]
    if len(refused) == 1:
        raise RequestError(str(refused[0][1]))
    if refused:
        first = refused[0][0].folder
        raise RequestError(
            f"{len(refused)} songs, the first in {_shown(first)}, have stems of an earlier run: {CHOICE}."
        )


class Naming:
    """Names the files of songs in ``output``.

    ``extension`` is that of the files, ``zip`` or ``stem.mp4`` for one file per song.

    Raises:
        RequestError: the template has an unknown field, no ``{stem}`` for several stems, or a ``{stem}`` for one file.
    """

    def __init__(self, output: Path, template: str | None, stems: tuple[str, ...], extension: str) -> None:
        is_one_file = extension in ONE_FILE_EXTENSIONS
        fields = template_fields(template, FIELDS) if template is not None else set()
        if template is not None and is_one_file and "stem" in fields:
            raise RequestError(
                f"One .{extension} file contains all stems: leave {{stem}} out of the file name."
            )
        if template is not None and not is_one_file and len(stems) > 1 and "stem" not in fields:
            raise RequestError(f"The file name {template!r} is the same for several stems: add {{stem}}.")
        self._output = output
        self._template = template or (ONE_FILE if is_one_file else PER_STEM)
        self._alternatives = (template,) if template else (PER_STEM, ONE_FILE)
        self._stems = ("",) if is_one_file else stems
        self._extension = extension

    def targets(self, songs: Iterable[Song]) -> dict[Song, Target]:
        """Return the target of each song.

        Of songs whose files would have equal paths, later ones keep their extension or get a number. Paths that some
        file system considers equal count as equal.

        Raises:
            RequestError: the template is the same for several songs, or leads out of the output folder.
        """
        songs = list(songs)
        targets: dict[Song, Target] = {}
        taken: set[str] = set()
        for song in songs:
            for track in islice(_tracks(song.path), len(songs) + 2):
                files = self._files(song, track)
                if taken.isdisjoint(map(_key, files)):
                    break
            else:
                raise RequestError(
                    f"The file name {self._template!r} is the same for several songs: add {{track}} or {{folder}}."
                )
            taken.update(map(_key, files))
            alternatives = tuple(self._filename(template, song, track) for template in self._alternatives)
            filename = self._filename(self._template, song, track)
            targets[song] = Target(song, self._output, filename, files, alternatives)
        return targets

    def possible_files(self, songs: list[Song]) -> dict[Song, tuple[Path, ...]]:
        """Return the files that a run with any format and stems writes for each song."""
        return {song: target.possible for song, target in self.targets(songs).items()}

    def _files(self, song: Song, track: str) -> tuple[Path, ...]:
        filename = self._filename(self._template, song, track)
        return tuple(
            self._output / fill_template(filename, stem=stem, ext=self._extension) for stem in self._stems
        )

    def _filename(self, template: str, song: Song, track: str) -> str:
        """Fill in the fields of the song; ``stem`` and ``ext`` stay open."""
        values = {"folder": str(song.folder), "trackext": song.path.suffix[1:]}
        longest = max(self._stems, key=len)
        track = fitting_track(template, track, stem=longest, ext=self._extension, **values)
        return fill_fields(template, track=track, **values)


def folded(name: str) -> str:
    """Return a form of a file name that is equal for names that some file system considers equal."""
    return unicodedata.normalize("NFC", name).casefold()


def _key(path: Path) -> str:
    return folded(str(path))


def _tracks(song: Path) -> Iterator[str]:
    """Yield names for a song: without its extension, with it, and with numbers."""
    names = chain((song.stem, song.name), (f"{song.stem} {number}" for number in count(2)))
    return (name for name in names if name not in ("", ".", ".."))
