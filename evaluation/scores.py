"""Runs every method on every song and keeps the figures."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from evaluation import metrics
from evaluation.datasets import Audio, Song
from evaluation.models import Separate
from evaluation.references import REFERENCES
from stemsplitter.errors import RequestError
from stemsplitter.separation.layouts import LAYOUTS, plan_stems

FAINT_DB = 14.0
"""A stem is scored where the mixture's own SDR as that stem is within ± this: not faint, nor all there is."""


@dataclass(frozen=True)
class Score:
    """One stem of one song by one method; `sdr` in dB, or `level` in dB if the song has no such stem."""

    song: str
    layout: str
    method: str
    stem: str
    sdr: float | None = None
    level: float | None = None


@dataclass(frozen=True)
class Run:
    """All stems of one song by one model: what is left over and the highest sample, in dBFS."""

    song: str
    method: str
    residual_dbfs: float
    peak_dbfs: float


def evaluate(songs: Sequence[Song], models: Iterable[tuple[str, Separate]]) -> tuple[list[Score], list[Run]]:
    """Every song in every layout by every reference and by every model that gives the layout."""
    scores: list[Score] = []
    runs: list[Run] = []
    for song in songs:
        for name, layout in LAYOUTS.items():
            for method, reference in REFERENCES.items():
                scores += _score(song, name, method, reference(song, layout))
    for model, separate in models:
        for song in songs:
            print(f"{model}: {song.name}", file=sys.stderr)
            own = separate(song.mixture)
            for name, layout in LAYOUTS.items():
                scores += _score(song, name, model, _in_layout(own, layout))
            stems = list(own.values())
            runs.append(
                Run(song.name, model, metrics.residual_dbfs(song.mixture, stems), metrics.peak_dbfs(stems))
            )
    return scores, runs


def scored_truths(song: Song, layout: tuple[str, ...]) -> Iterator[tuple[str, Audio]]:
    """The stems of a layout whose truth is known and not faint; absent ones are silent."""
    for stem in layout:
        truth = song.truth(stem, layout)
        if truth is not None and (not truth.any() or abs(metrics.sdr(truth, song.mixture)) <= FAINT_DB):
            yield stem, truth


def _in_layout(own: dict[str, Audio], layout: tuple[str, ...]) -> dict[str, Audio]:
    """The stems of a layout made of a model's own; nothing where it does not give them."""
    try:
        plan = plan_stems(tuple(own), layout)
    except RequestError:
        return {}
    return dict(zip(layout, plan.apply(np.array(list(own.values()))), strict=True))


def _score(song: Song, layout: str, method: str, stems: dict[str, Audio]) -> Iterator[Score]:
    for stem, truth in scored_truths(song, LAYOUTS[layout]):
        if stem not in stems:
            continue
        if not np.isfinite(stems[stem]).all():
            raise ValueError(f"{method} gave {stem} of {song.name} with samples that are no numbers")
        if truth.any():
            yield Score(song.name, layout, method, stem, sdr=metrics.sdr(truth, stems[stem]))
        else:
            yield Score(song.name, layout, method, stem, level=metrics.level(stems[stem], song.mixture))
