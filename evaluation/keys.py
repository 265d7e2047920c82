"""Measure the estimates of the key: ``python -m evaluation.keys FOLDER…``.

A folder has a folder for each song: ``song.json`` or ``info.json`` with its ``key`` (``F# minor``), and either
``mixture.flac`` or stems that add up to it. Songs that `training.render` renders are such folders.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from evaluation.tempi import analyze
from stemsplitter.analysis import Key, KeyEstimate
from stemsplitter.analysis.keys import parse_key


@dataclass(frozen=True)
class Figures:
    """Of one song: the true key and the estimate, None for silence."""

    name: str
    true: Key
    found: KeyEstimate | None


def measure(folder: Path) -> Iterator[Figures]:
    """Estimate the key of each song in a folder."""
    for about in sorted([*folder.glob("*/song.json"), *folder.glob("*/info.json")]):
        name = json.loads(about.read_text(encoding="utf-8")).get("key")
        if not name:
            continue
        mixture = about.parent / "mixture.flac"
        paths = [mixture] if mixture.exists() else sorted(about.parent.glob("*.flac"))
        read = [soundfile.read(path, dtype="float32", always_2d=True) for path in paths]
        found = analyze(np.sum([samples for samples, _ in read], axis=0), read[0][1]).key
        yield Figures(about.parent.name, parse_key(name), found)


def weighted(true: Key, found: Key | None) -> float:
    """Return the score of MIREX: 1; a fifth off 0.5; the relative key 0.3; the parallel key 0.2; any other 0."""
    if found is None:
        return 0.0
    distance = (found.tonic - true.tonic) % 12
    if found.mode == true.mode:
        return {0: 1.0, 7: 0.5, 5: 0.5}.get(distance, 0.0)
    relative = 9 if true.mode == "major" else 3
    return {0: 0.2, relative: 0.3}.get(distance, 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--each", action="store_true", help="print each song, too")
    options = parser.parse_args()
    songs = [figures for folder in options.folders for figures in measure(folder)]
    if not songs:
        raise SystemExit("No song has a key: name folders of songs with song.json or info.json.")
    found = [(song.true, song.found) for song in songs if song.found is not None]
    if options.each:
        for song in songs:
            found_name = (
                "none" if song.found is None else f"{song.found.key.name}, {song.found.confidence:.2f}"
            )
            print(f"{song.name}: {song.true.name}, found {found_name}")
    exact = np.array([true == estimate.key for true, estimate in found])
    either = [true in (estimate.key, estimate.second) for true, estimate in found]
    confidence = np.array([estimate.confidence for _, estimate in found])
    scores = [weighted(true, estimate.key) for true, estimate in found]
    print("| songs | right | weighted | among the first two | clear | mean confidence, right, wrong |")
    print("|---|---|---|---|---|---|")
    count = len(songs)
    sure = [float(confidence[chosen].mean()) if chosen.any() else 0.0 for chosen in (exact, ~exact)]
    clear = sum(estimate.is_clear for _, estimate in found)
    print(
        f"| {count} | {exact.sum() / count:.3f} | {sum(scores) / count:.3f} | {sum(either) / count:.3f} "
        f"| {clear / count:.3f} | {confidence.mean():.2f}, {sure[0]:.2f}, {sure[1]:.2f} |"
    )


if __name__ == "__main__":
    main()
