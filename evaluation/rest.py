"""Score the built-in model behind a perfect model of vocals, drums and bass: `python -m evaluation.rest`.

It separates what the true vocals, drums and bass leave of each song that has them.
"""

import argparse
import statistics
from pathlib import Path

import numpy as np

from evaluation.datasets import songs
from evaluation.instruments import instruments
from evaluation.metrics import sdr
from evaluation.scores import scored_truths
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.separation.architectures.bandnet.model import GIVEN, BandNetModel
from stemsplitter.separation.architectures.bandnet.rest import separate_rest
from stemsplitter.separation.layouts import SIX_STEMS
from stemsplitter.separation.runtimes.openvino import OpenVinoRuntime

OTHERS = tuple(stem for stem in SIX_STEMS if stem not in GIVEN)


def load(weights: Path | None) -> BandNetModel:
    """The built-in model, with other weights than the released ones if given."""
    store = ModelStore()
    file = weights or store.weights("builtin_6s")[0]
    return BandNetModel(OpenVinoRuntime(), file, store.cache_dir("builtin_6s"), None)


def main() -> None:
    """Print the SDR of guitar, piano and other of each song without and with the list of its instruments."""
    parser = argparse.ArgumentParser(prog="python -m evaluation.rest", description=__doc__)
    parser.add_argument("--devset", type=Path, help="a folder of songs with true stems, see the README")
    parser.add_argument(
        "--weights", type=Path, help="a file of training.export instead of the released weights"
    )
    options = parser.parse_args()
    model = load(options.weights)
    found: dict[str, dict[str, list[float]]] = {"without": {}, "with": {}}
    print(f"| song | list | {' | '.join(OTHERS)} |\n|---|---|{'---|' * len(OTHERS)}")
    for song in songs(options.devset):
        listed = instruments(song)
        if listed is None:
            continue
        silence = np.zeros_like(song.mixture)
        given = {stem: song.stems.get(stem, silence) for stem in GIVEN}
        truths = [(stem, truth) for stem, truth in scored_truths(song, SIX_STEMS) if stem in OTHERS]
        for way, names in (("without", SIX_STEMS), ("with", listed)):
            stems = separate_rest(model.for_instruments(names), song.mixture, given)
            row = {stem: sdr(truth, stems[stem]) for stem, truth in truths if truth.any()}
            for stem, figure in row.items():
                found[way].setdefault(stem, []).append(figure)
            print(_row(song.name, way, row), flush=True)
    for way, figures in found.items():
        print(_row("median", way, {stem: statistics.median(values) for stem, values in figures.items()}))


def _row(song: str, way: str, figures: dict[str, float]) -> str:
    cells = (f"{figures[stem]:.1f}" if stem in figures else "" for stem in OTHERS)
    return f"| {song} | {way} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
