"""Scores as Markdown tables."""

import math
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from evaluation.references import REFERENCES
from evaluation.scores import Run, Score
from stemsplitter.separation.layouts import LAYOUTS, SIX_STEMS

T = TypeVar("T")

START, END = "<!-- results: start -->\n", "<!-- results: end -->\n"


def markdown(scores: Sequence[Score], absent: Sequence[Score], runs: Sequence[Run]) -> str:
    """Tables: medians and every song for each layout; absent stems; residuals of the models.

    `absent` are the levels of stems in songs from which they were removed.
    """
    parts = []
    for layout, stems in LAYOUTS.items():
        of_layout = [score for score in scores if score.layout == layout]
        if of_layout:
            parts.append(f"### {layout}, median SDR in dB (songs)\n\n{_medians(of_layout, stems)}")
            parts.append(f"### {layout}, every song, SDR in dB\n\n{_songs(of_layout, stems)}")
    known = [score for score in scores if score.layout == "6s" and score.method not in REFERENCES]
    levels = [score for score in (*known, *absent) if score.level is not None]
    if levels:
        parts.append(f"### Absent stems, level relative to the mixture in dB\n\n{_absent(levels)}")
    if runs:
        parts.append(f"### Sum of the stems\n\n{_residuals(runs)}")
    return "\n".join(parts)


def write(readme: Path, results: str) -> None:
    """Write the results between the markers of a Markdown file; ValueError if it has none."""
    before, start, rest = readme.read_text(encoding="utf-8").partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError(f"{readme} has no markers for the results")
    readme.write_text(f"{before}{START}\n{results}\n{END}{after}", encoding="utf-8")


def _medians(scores: Sequence[Score], stems: Sequence[str]) -> str:
    rows = []
    for method in _methods(scores):
        row = [method]
        for stem in stems:
            values = [s.sdr for s in scores if (s.method, s.stem) == (method, stem) and s.sdr is not None]
            row.append(f"{decibels(statistics.median(values))} ({len(values)})" if values else "")
        rows.append(row)
    return _table(["", *stems], rows)


def _absent(scores: Sequence[Score]) -> str:
    rows = []
    for method in _methods(scores):
        row = [method]
        for group in (*([stem] for stem in SIX_STEMS), SIX_STEMS):
            these = [score for score in scores if score.method == method and score.stem in group]
            levels = [score.level for score in these if score.level is not None]
            row.append(_middle_and_worst(levels) if levels else "")
        rows.append(row)
    legend = "Median / worst (songs): songs known to lack a stem, and songs from which one was removed.\n"
    return f"{_table(['', *SIX_STEMS, 'all'], rows)}\n{legend}"


def _middle_and_worst(levels: Sequence[float]) -> str:
    return f"{decibels(statistics.median(levels))} / {decibels(max(levels))} ({len(levels)})"


def _songs(scores: Sequence[Score], stems: Sequence[str]) -> str:
    rows = []
    for song in _unique(score.song for score in scores):
        of_song = [score for score in scores if score.song == song and score.method != "silence"]
        for method in _methods(of_song):
            cells = {score.stem: cell(score) for score in of_song if score.method == method}
            rows.append([song, method, *(cells.get(stem, "") for stem in stems)])
    legend = (
        "Empty: not estimated, or not scored. "
        "In brackets: level of a stem that the song lacks, relative to the mixture, in dB.\n"
    )
    return f"{_table(['song', 'method', *stems], rows)}\n{legend}"


def _residuals(runs: Sequence[Run]) -> str:
    rows = []
    for method in _unique(run.method for run in runs):
        these = [run for run in runs if run.method == method]
        residual, peak = max(run.residual_dbfs for run in these), max(run.peak_dbfs for run in these)
        rows.append([method, str(len(these)), decibels(residual), decibels(peak)])
    return _table(["model", "songs", "worst residual, dBFS", "highest sample, dBFS"], rows)


def cell(score: Score) -> str:
    """A score as shown in a table: SDR, or in brackets the level of an absent stem."""
    return decibels(score.sdr) if score.sdr is not None else f"[{decibels(score.level)}]"


def decibels(value: float | None) -> str:
    """One decimal; "" for None, and the sign of infinity."""
    if value is None or math.isinf(value):
        return "" if value is None else "−∞" if value < 0 else "∞"
    return f"{round(value, 1) + 0.0:.1f}".replace("-", "−")


def _methods(scores: Iterable[Score]) -> list[str]:
    """The references, then the models in order."""
    found = _unique(score.method for score in scores)
    return [name for name in REFERENCES if name in found] + [name for name in found if name not in REFERENCES]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _unique(values: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(values))
