"""Scores of the models and the references against the true stems of a song."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from evaluation import metrics
from evaluation.datasets import Audio, Song
from evaluation.models import Separate
from evaluation.references import REFERENCES
from stemsplitter.errors import RequestError
from stemsplitter.separation.layouts import LAYOUTS, SIX_STEMS, plan_stems

FAINT_DB = 14.0
"""A stem is scored if the SDR of the mixture as that stem is within ± this: not faint, not nearly the mixture."""


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
    """All stems of one song by one model: residual and highest sample, in dBFS."""

    song: str
    method: str
    residual_dbfs: float
    peak_dbfs: float


def score(song: Song, estimates: Mapping[str, dict[str, Audio]]) -> Iterator[Score]:
    """A song in every layout, by every reference and by every model whose own stems are in `estimates`."""
    for name, layout in LAYOUTS.items():
        for method, reference in REFERENCES.items():
            yield from _score(song, name, method, reference(song, layout))
        for model, own in estimates.items():
            yield from _score(song, name, model, in_layout(own, layout))


def run(song: Song, model: str, own: dict[str, Audio]) -> Run:
    """Residual and highest sample of a model's stems."""
    stems = list(own.values())
    return Run(song.name, model, metrics.residual_dbfs(song.mixture, stems), metrics.peak_dbfs(stems))


def without_each_stem(song: Song) -> Iterator[tuple[str, Song]]:
    """Each stem that is known and not faint, and the song without it.

    Songs of two stems are skipped: the other stem may still contain some of it.
    """
    if len(song.stems) > 2:
        for stem, truth in scored_truths(song, SIX_STEMS):
            if truth.any():
                yield stem, song.without(stem)


def absent_level(song: Song, stem: str, model: str, separate: Separate) -> Iterator[Score]:
    """Level of a stem, of the six, that the song lacks, as estimated by a model; nothing if the model lacks it too."""
    given = in_layout(separate(song.mixture), SIX_STEMS)
    return _score(song, "6s", model, {stem: given[stem]} if stem in given else {})


def scored_truths(song: Song, layout: tuple[str, ...]) -> Iterator[tuple[str, Audio]]:
    """The true stems of a layout that are known and not faint; absent ones are silent."""
    for stem in layout:
        truth = song.truth(stem, layout)
        if truth is not None and (not truth.any() or abs(metrics.sdr(truth, song.mixture)) <= FAINT_DB):
            yield stem, truth


def in_layout(own: dict[str, Audio], layout: tuple[str, ...]) -> dict[str, Audio]:
    """The stems of a layout computed from a model's own: all, or those that it can provide, each [2, n]."""
    stems = np.array(list(own.values()))
    given: dict[str, Audio] = {}
    for stem in layout:
        # the content of `other` depends on the other stems of the layout, so all are planned together
        asked = layout if stem == "other" else (stem,)
        try:
            plan = plan_stems(tuple(own), asked)
        except RequestError:
            continue
        given[stem] = plan.apply(stems)[asked.index(stem)]
    return given


def _score(song: Song, layout: str, method: str, stems: dict[str, Audio]) -> Iterator[Score]:
    for stem, truth in scored_truths(song, LAYOUTS[layout]):
        if stem not in stems:
            continue
        if not np.isfinite(stems[stem]).all():
            raise ValueError(f"{method} gave {stem} of {song.name} with samples that are not finite")
        if truth.any():
            yield Score(song.name, layout, method, stem, sdr=metrics.sdr(truth, stems[stem]))
        else:
            yield Score(song.name, layout, method, stem, level=metrics.level(stems[stem], song.mixture))
