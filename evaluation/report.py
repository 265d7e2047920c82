"""Scores as Markdown tables."""

import math
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from evaluation.scores import Run, Score
from stemsplitter.separation.layouts import LAYOUTS

T = TypeVar("T")

START, END = "<!-- results: start -->\n", "<!-- results: end -->\n"


def markdown(scores: Sequence[Score], runs: Sequence[Run]) -> str:
    """Per layout the medians and then every song; then what the models' stems lack of the mixture."""
    parts = []
    for layout, stems in LAYOUTS.items():
        of_layout = [score for score in scores if score.layout == layout]
        if of_layout:
            parts.append(f"### {layout}, median SDR in dB (songs)\n\n{_medians(of_layout, stems)}")
            parts.append(f"### {layout}, every song, SDR in dB\n\n{_songs(of_layout, stems)}")
    if runs:
        parts.append(f"### The sum of the stems\n\n{_residuals(runs)}")
    return "\n".join(parts)


def write(readme: Path, results: str) -> None:
    """Put the results between the markers of a Markdown file; ValueError if it has none."""
    before, start, rest = readme.read_text(encoding="utf-8").partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError(f"{readme} has no place for results")
    readme.write_text(f"{before}{START}\n{results}\n{END}{after}", encoding="utf-8")


def _medians(scores: Sequence[Score], stems: Sequence[str]) -> str:
    rows = []
    for method in _unique(score.method for score in scores):
        row = [method]
        for stem in stems:
            values = [s.sdr for s in scores if (s.method, s.stem) == (method, stem) and s.sdr is not None]
            row.append(f"{_decibels(statistics.median(values))} ({len(values)})" if values else "")
        rows.append(row)
    return _table(["", *stems], rows)


def _songs(scores: Sequence[Score], stems: Sequence[str]) -> str:
    rows = []
    for song in _unique(score.song for score in scores):
        of_song = [score for score in scores if score.song == song]
        for method in _unique(score.method for score in of_song):
            cells = {score.stem: _cell(score) for score in of_song if score.method == method}
            rows.append([song, method, *(cells.get(stem, "") for stem in stems)])
    legend = (
        "Empty: not given, or not scored. "
        "In brackets: the song has no such stem; how loud it came out beside the mixture, in dB.\n"
    )
    return f"{_table(['song', 'by', *stems], rows)}\n{legend}"


def _residuals(runs: Sequence[Run]) -> str:
    rows = []
    for method in _unique(run.method for run in runs):
        these = [run for run in runs if run.method == method]
        residual, peak = max(run.residual_dbfs for run in these), max(run.peak_dbfs for run in these)
        rows.append([method, str(len(these)), _decibels(residual), _decibels(peak)])
    return _table(["model", "songs", "worst residual, dBFS", "highest sample, dBFS"], rows)


def _cell(score: Score) -> str:
    return _decibels(score.sdr) if score.sdr is not None else f"[{_decibels(score.level)}]"


def _decibels(value: float | None) -> str:
    if value is None or math.isinf(value):
        return "" if value is None else "−∞" if value < 0 else "∞"
    return f"{round(value, 1) + 0.0:.1f}".replace("-", "−")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _unique(values: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(values))
