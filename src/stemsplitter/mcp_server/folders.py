"""Folders that an assistant may use: songs are read from them, and results are written to one."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from stemsplitter.errors import OutputError, RequestError
from stemsplitter.files.names import file_name, is_song_name, shown

LISTED = 200  # songs


class Folders:
    """The folders, without symbolic links in their paths."""

    def __init__(self, folders: Iterable[Path], output: Path | None = None) -> None:
        """Check the folders.

        Args:
            folders: folders of songs, at least one.
            output: folder of the results, which is created; by default ``stems`` in the first folder.

        Raises:
            RequestError: a folder does not exist.
            OutputError: the output folder cannot be created.
        """
        named = list(folders)
        for folder in named:
            if not folder.is_dir():
                raise RequestError(f"{shown(folder)} is not a folder: name an existing one.")
        self.output = (output or named[0] / "stems").resolve()
        try:
            self.output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"The folder {shown(self.output)} cannot be created: {error.strerror}."
            ) from error
        self.readable = (*dict.fromkeys(folder.resolve() for folder in named), self.output)

    def song(self, name: str) -> Path:
        """Return the path of a song, given by an absolute path or by a path in one of the folders.

        Raises:
            RequestError: it is not a file in one of the folders, also after symbolic links are followed.
        """
        for folder in self.readable:
            try:
                path = (folder / name).resolve(strict=True)
            except (OSError, ValueError, RuntimeError):
                continue
            if path.is_file() and any(path.is_relative_to(each) for each in self.readable):
                return path
        raise RequestError(
            f"{shown(name)} is not a file in the folders of this server: use one that list_songs returns."
        )

    def songs(self, text: str = "") -> list[str]:
        """Return the paths of at most 200 songs whose names contain ``text``; hidden files are skipped."""
        found = (str(path) for path in self._files() if text.lower() in path.name.lower())
        return [path for path, _ in zip(dict.fromkeys(found), range(LISTED), strict=False)]

    def new(self, song: str, what: str) -> Path:
        """Create an empty folder for a result of a song, such as ``Song (split)``.

        Raises:
            OutputError: it cannot be created.
        """
        number = 1
        while True:
            ending = f" ({what})" if number == 1 else f" ({what} {number})"
            folder = self.output / file_name(song, ending)
            try:
                folder.mkdir()
            except FileExistsError:
                number += 1
            except OSError as error:
                raise OutputError(
                    f"The folder {shown(folder)} cannot be created: {error.strerror}."
                ) from error
            else:
                return folder

    def _files(self) -> Iterator[Path]:
        for folder in self.readable:
            for root, folders, files in os.walk(folder):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                for name in sorted(files):
                    if is_song_name(name):
                        yield Path(root, name)
