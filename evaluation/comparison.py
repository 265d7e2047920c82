"""What there is to see and hear of a song: for each stem its truth and every model's estimate, side by side."""

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
        stem: its name, which says what it holds.
        sounds: by `TRUTH` and by model, each [2, n]; what is unknown or not given is left out.
        figures: SDR in dB by model and reference as the tables show it, for those that were scored.
    """

    stem: str
    sounds: dict[str, Audio]
    figures: dict[str, str] = field(default_factory=dict)

    def caption(self, by: str) -> str:
        """What is known of a sound: its figure, or that it is the truth."""
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
    """Lay out a song with the models' own stems by model and the song's scores.

    A row for each of the six stems that is known or given; then one for a wider `other` or an instrumental
    where a model has nothing finer; then what the song has beside its named stems, if no row holds it yet.
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
    """Layout and stem of the rows there may be: all six, and the models' stems that are none of them."""
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
