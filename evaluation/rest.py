"""Score the built-in model behind a perfect model of vocals, drums and bass: `python -m evaluation.rest`.

It separates what the true vocals, drums and bass leave of each song that has them.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from evaluation.datasets import Audio, Song
from evaluation.instruments import print_table
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

    def separate(song: Song, names: tuple[str, ...]) -> Mapping[str, Audio]:
        silence = np.zeros_like(song.mixture)
        given = {stem: song.stems.get(stem, silence) for stem in GIVEN}
        return separate_rest(model.for_instruments(names), song.mixture, given)

    print_table(options.devset, OTHERS, separate)


if __name__ == "__main__":
    main()
