"""Compare three ways to combine Spleeter and the built-in network: `python -m evaluation.ways`.

- alone: the network separates the vocals too;
- first: the vocals are Spleeter's, and the network separates the remainder;
- joined: the network receives both, and may assign parts of either to any stem. The library uses this way.
"""

import argparse
import statistics
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluation.datasets import SAMPLE_RATE, Audio, songs
from evaluation.metrics import sdr
from evaluation.scores import scored_truths
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.separation.architectures.bandnet.model import BandNetModel, softmax
from stemsplitter.separation.architectures.spleeter.model import SpleeterMask
from stemsplitter.separation.layouts import SIX_STEMS
from stemsplitter.separation.pipeline import separate_stream
from stemsplitter.separation.runtimes.openvino import OpenVinoRuntime

NETWORK, FINDER = "builtin_6s", "spleeter_2s"
VOCALS = SIX_STEMS.index("vocals")


class First(BandNetModel):
    """A network that keeps Spleeter's vocals unchanged."""

    def _masks(self, signal: int, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        kept = [VOCALS] if signal else [stem for stem in range(len(SIX_STEMS)) if stem != VOCALS]
        return softmax(logits, kept)


def ways(weights: Path | None) -> dict[str, BandNetModel]:
    """The three ways, loaded; with other weights than the released ones if given."""
    store, runtime = ModelStore(), OpenVinoRuntime()
    file = weights or store.weights(NETWORK)[0]
    cache = store.cache_dir(NETWORK)
    finder = SpleeterMask(runtime, store.weights(FINDER), store.cache_dir(FINDER))
    return {
        "alone": BandNetModel(runtime, file, cache, None),
        "first": First(runtime, file, cache, finder),
        "joined": BandNetModel(runtime, file, cache, finder),
    }


def stems_of(model: BandNetModel, mixture: Audio) -> dict[str, Audio]:
    """A song's stems, each [2, n]."""
    pieces = [piece.stems for piece in separate_stream(model, [mixture], SAMPLE_RATE, 2)]
    return dict(zip(model.stems, np.concatenate(pieces, axis=-1), strict=True))


def main() -> None:
    """Print the median SDR of each stem, one row per way, then that of every song."""
    parser = argparse.ArgumentParser(prog="python -m evaluation.ways", description=__doc__)
    parser.add_argument("--devset", type=Path, help="a folder of songs with true stems, see the README")
    parser.add_argument(
        "--weights", type=Path, help="a file of training.export instead of the released weights"
    )
    options = parser.parse_args()
    found: dict[str, dict[str, list[tuple[str, float]]]] = {}
    models = ways(options.weights)
    for song in songs(options.devset):
        truths = [(stem, truth) for stem, truth in scored_truths(song, SIX_STEMS) if truth.any()]
        for name, model in models.items():
            estimates = stems_of(model, song.mixture)
            for stem, truth in truths:
                figure = (song.name, sdr(truth, estimates[stem]))
                found.setdefault(name, {}).setdefault(stem, []).append(figure)
    print(f"| way | {' | '.join(SIX_STEMS)} |\n|---|{'---|' * len(SIX_STEMS)}")
    for name, stems in found.items():
        medians = (statistics.median(figure for _, figure in stems[stem]) for stem in SIX_STEMS)
        print(f"| {name} | {' | '.join(f'{median:.1f}' for median in medians)} |")
    for name, stems in found.items():
        for stem, figures in stems.items():
            print(f"{name} {stem}: " + ", ".join(f"{song} {figure:.1f}" for song, figure in figures))


if __name__ == "__main__":
    main()
