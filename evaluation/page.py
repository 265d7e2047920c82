"""Gallery: a picture and FLAC files per song, and one page that plays them synchronized."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
import soundfile
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from evaluation.comparison import Comparison, Estimates, Row, compare
from evaluation.datasets import SAMPLE_RATE, Audio, Song
from evaluation.picture import draw
from evaluation.references import REFERENCES
from evaluation.scores import Score

SHOWN = [reference for reference in REFERENCES if reference != "silence"]  # 0 dB by definition


@dataclass(frozen=True)
class Sound:
    """A FLAC file of the gallery: its address, name and caption."""

    address: str
    name: str
    caption: str


@dataclass(frozen=True)
class Exhibit:
    """A song on the page."""

    name: str
    seconds: float
    quieter_db: float
    picture: str
    mixture: Sound
    columns: tuple[str, ...]
    rows: list[tuple[Row, dict[str, Sound]]]


class Gallery:
    """Pictures and audio of songs, in a folder."""

    def __init__(self, folder: Path) -> None:
        """Songs are written to subfolders of `folder`, which is created when needed."""
        self.folder = folder
        self._exhibits: list[Exhibit] = []

    def add(self, song: Song, estimates: Estimates, scores: list[Score]) -> None:
        """Write a song's picture and files; `scores` are its own.

        All files of a song are attenuated by the same gain if one of them would clip.
        """
        comparison = compare(song, estimates, scores)
        folder = self.folder / song.name
        folder.mkdir(parents=True, exist_ok=True)
        draw(comparison, folder / "spectrograms.png")
        gain = _gain(comparison)
        rows = []
        for number, row in enumerate(comparison.rows, 1):
            sounds = {
                by: self._keep(
                    gain * sound,
                    folder / f"{number} {row.stem} - {by}.flac",
                    f"{row.stem}, {by}",
                    row.caption(by),
                )
                for by, sound in row.sounds.items()
            }
            rows.append((row, sounds))
        exhibit = Exhibit(
            name=song.name,
            seconds=comparison.mixture.shape[1] / SAMPLE_RATE,
            quieter_db=float(-20 * np.log10(gain)),
            picture=self._address(folder / "spectrograms.png"),
            mixture=self._keep(gain * comparison.mixture, folder / "mixture.flac", "mixture", "mixture"),
            columns=comparison.columns,
            rows=rows,
        )
        self._exhibits.append(exhibit)

    def write(self) -> Path:
        """Write the page, index.html, and return its path."""
        pages = Environment(
            loader=FileSystemLoader(Path(__file__).parent),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        page = self.folder / "index.html"
        self.folder.mkdir(parents=True, exist_ok=True)
        text = pages.get_template("page.html").render(songs=self._exhibits, references=SHOWN)
        page.write_text(text, encoding="utf-8")
        return page

    def _keep(self, sound: Audio, path: Path, name: str, caption: str) -> Sound:
        soundfile.write(path, sound.T, SAMPLE_RATE, subtype="PCM_16")
        return Sound(self._address(path), name, caption)

    def _address(self, path: Path) -> str:
        return quote(path.relative_to(self.folder).as_posix())


def _gain(comparison: Comparison) -> float:
    """The gain that keeps every sound of a song below full scale; 1 if all are."""
    sounds = [comparison.mixture, *(sound for row in comparison.rows for sound in row.sounds.values())]
    peak = max(float(np.abs(sound).max(initial=0)) for sound in sounds)
    return min(1.0, 0.999 / max(peak, 1e-9))
