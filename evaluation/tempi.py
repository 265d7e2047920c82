"""Measure the estimates of tempo: ``python -m evaluation.tempi FOLDER…``.

A folder has a folder for each song: ``song.json`` or ``info.json`` with its ``tempo`` or ``bpm``, and either
``mixture.flac`` or stems that add up to it. Songs that `training.render` renders are such folders.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from stemsplitter.analysis import Analysis, Analyzer

TOLERANCE = 0.04
MULTIPLES = (1, 2, 3, 1 / 2, 1 / 3)


@dataclass(frozen=True)
class Figures:
    """Of one song: the true tempo, and the estimates without and with its drums, None where there is none."""

    name: str
    true: float
    found: float | None
    with_drums: float | None


def measure(folder: Path) -> Iterator[Figures]:
    """Estimate the tempo of each song in a folder."""
    for about in sorted([*folder.glob("*/song.json"), *folder.glob("*/info.json")]):
        given = json.loads(about.read_text(encoding="utf-8"))
        tempo = given.get("tempo") or given.get("bpm")
        if not tempo:
            continue
        stems = {path.stem: path for path in about.parent.glob("*.flac")}
        samples = {
            name: soundfile.read(path, dtype="float32", always_2d=True) for name, path in stems.items()
        }
        rate = next(iter(samples.values()))[1]
        mixture = samples.pop("mixture", (None, 0))[0]
        if mixture is None:
            mixture = np.sum([audio for audio, _ in samples.values()], axis=0)
        drums = samples["drums"][0] if "drums" in samples else None
        yield Figures(
            about.parent.name,
            tempo,
            _bpm(analyze(mixture, rate)),
            _bpm(analyze(mixture, rate, drums)) if drums is not None else None,
        )


def analyze(song: np.ndarray, rate: int, drums: np.ndarray | None = None) -> Analysis:
    """Analyze ``[n, C]``."""
    analyzer = Analyzer(rate, has_drums=drums is not None)
    analyzer.process(song.T, drums.T if drums is not None else None)
    return analyzer.finish()


def accuracies(pairs: list[tuple[float, float | None]]) -> tuple[float, float]:
    """Share of the pairs of a true tempo and an estimate that agree within 4 %, and up to a factor of 2 or 3."""
    errors = np.array([[(found or 0) / true / factor - 1 for factor in MULTIPLES] for true, found in pairs])
    right = np.abs(errors) < TOLERANCE
    return float(right[:, 0].mean()), float(right.any(axis=1).mean())


def _bpm(analysis: Analysis) -> float | None:
    return analysis.tempo.bpm if analysis.tempo else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--each", action="store_true", help="print each song, too")
    options = parser.parse_args()
    songs = [figures for folder in options.folders for figures in measure(folder)]
    if options.each:
        for each in songs:
            print(f"{each.name}: {each.true:.1f}, found {each.found}, with drums {each.with_drums}")
    with_drums = [song for song in songs if song.with_drums is not None]
    print("| | songs | accuracy 1 | accuracy 2 |\n|---|---|---|---|")
    for name, pairs in (
        ("song", [(song.true, song.found) for song in songs]),
        ("song with the drums stem", [(song.true, song.with_drums) for song in with_drums]),
    ):
        if pairs:
            print(f"| {name} | {len(pairs)} | {{:.3f}} | {{:.3f}} |".format(*accuracies(pairs)))


if __name__ == "__main__":
    main()
