"""Comparison of a song's stems: for each, the true stem and every model's estimate."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from evaluation.datasets import Audio, Song
from evaluation.report import cell
from evaluation.scores import Score, in_layout
from stemsplitter.separation.layouts import LAYOUTS, SIX_STEMS

TRUTH = "truth"

Estimates = Mapping[str, dict[str, Audio]]


@dataclass(frozen=True)
class Row:
    """One stem.

    Attributes:
        stem: its name, which describes its content.
        sounds: by `TRUTH` and by model, each [2, n]; unknown and missing ones are omitted.
        figures: SDR in dB by model and reference, as in the tables, of those that were scored.
    """

    stem: str
    sounds: dict[str, Audio]
    figures: dict[str, str] = field(default_factory=dict)

    def caption(self, by: str) -> str:
        """The figure of a sound, or a note that it is the true stem."""
        if by == TRUTH:
            return TRUTH if self.sounds[TRUTH].any() else "truth: absent"
        return f"{self.figures[by]} dB" if by in self.figures else "not scored"

    def title(self, by: str) -> str:
        """Stem, origin and caption in one line."""
        return (
            f"{self.stem}, {self.caption(by)}" if by == TRUTH else f"{self.stem} by {by}: {self.caption(by)}"
        )


@dataclass(frozen=True)
class Comparison:
    """A song's mixture [2, n] and its rows; `columns` are `TRUTH` and the models."""

    name: str
    mixture: Audio
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def compare(song: Song, estimates: Estimates, scores: Iterable[Score]) -> Comparison:
    """Arrange a song's true stems, the models' own stems by model, and the song's scores.

    One row for each of the six stems that is known or estimated; then one for a wider `other` or an instrumental
    if a model has no finer stems; then the rest of the song, if no row contains it yet.
    """
    by_row: dict[tuple[str, str], dict[str, str]] = {}
    for score in scores:
        by_row.setdefault((score.layout, score.stem), {})[score.method] = cell(score)
    rows = []
    for layout, stem in _places(estimates):
        sounds = _sounds(song, estimates, layout, stem)
        if sounds:
            label = "other, with guitar and piano" if (layout, stem) == ("4s", "other") else stem
            rows.append(Row(label, sounds, by_row.get((layout, stem), {})))
    rest = song.stems.get("other")
    if rest is not None and not any(np.array_equal(rest, row.sounds.get(TRUTH, ())) for row in rows):
        rows.append(Row("the rest of the song", {TRUTH: rest}))
    return Comparison(song.name, song.mixture, (TRUTH, *estimates), tuple(rows))


def _places(estimates: Estimates) -> Iterator[tuple[str, str]]:
    """Layout and stem of the possible rows: all six, and other stems of the models."""
    for layout, stems in LAYOUTS.items():
        for stem in stems:
            wider = (stem in own and stem not in in_layout(own, SIX_STEMS) for own in estimates.values())
            if stems == SIX_STEMS or any(wider):
                yield layout, stem


def _sounds(song: Song, estimates: Estimates, layout: str, stem: str) -> dict[str, Audio]:
    truth = song.truth(stem, LAYOUTS[layout])
    sounds = {} if truth is None else {TRUTH: truth}
    for model, own in estimates.items():
        given = in_layout(own, LAYOUTS[layout])
        if stem in given:
            sounds[model] = given[stem]
    return sounds
