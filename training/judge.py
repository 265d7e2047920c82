"""Judge a checkpoint: ``python -m training.judge run/best.pt --examples held-out-examples``.

Prints the SDR of each stem over whole songs, in bands, as the median over the songs: alone, with the vocals that
Spleeter finds, with the true vocals, and with the true vocals, drums and bass; each with shares for all stems,
for the stems that the song has, for those that the network finds in it, and for those that the song has where
what is given is kept as it is, and the rest shared out among the other stems. The last column is the energy of
stems that the song does not have, against the mixture's. With ``--songs`` all songs are printed, too.
"""

import argparse
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from training import loss
from training.examples import Example, load
from training.given import GIVEN, WAYS, Way, allowed, batch, known
from training.network import BandNet
from training.score import STEMS
from training.shipped import begin_with

FAINT: Final = -15.0  # dB of a stem beside the rest of its song below which it is not judged
FOUND: Final = 0.1  # probability from which on an instrument counts as found: a faint one is to stay
KEPT: Final[dict[Way, tuple[str, ...]]] = {
    "alone": (),
    "spleeter": ("vocals",),
    "vocals": ("vocals",),
    "three": GIVEN,
}
LISTS: Final = ("all", "listed", "found", "kept")

Floats = NDArray[np.float64]


@dataclass
class Sums:
    """Energies over a song: of each stem's error, of the stem itself, of what came out as it, and of the mixture."""

    errors: Floats = field(default_factory=lambda: np.zeros(len(STEMS)))
    energies: Floats = field(default_factory=lambda: np.zeros(len(STEMS)))
    outputs: Floats = field(default_factory=lambda: np.zeros(len(STEMS)))
    mixture: float = 0.0

    def sdr(self, has_bass: bool) -> Floats:
        """SDR of each stem, NaN where it is not judged; what has no stem of its own may be in ``other``."""
        faint = self.energies < 10 ** (FAINT / 10) * self.mixture
        if not has_bass:
            faint[STEMS.index("other")] = True
        return np.where(
            faint, np.nan, 10 * np.log10(np.maximum(self.energies, 1e-12) / np.maximum(self.errors, 1e-12))
        )

    def absent(self, listed: NDArray[np.bool_]) -> float:
        """Energy of stems that are not in the song, in dB against the mixture, the loudest of them."""
        none = ~listed
        return (
            float(10 * np.log10(max(self.outputs[none].max(), 1e-12) / self.mixture))
            if none.any()
            else np.nan
        )


class Judge:
    """A network, and what it makes of songs."""

    def __init__(self, network: BandNet) -> None:
        self._network = network.eval()

    @torch.no_grad()
    def song(self, examples: list[Example], way: Way) -> tuple[dict[str, Sums], Floats]:
        """Sums for each list of stems, and the probability of each instrument in the song."""
        listed = np.any([each.listed for each in examples], axis=0)
        runs = []
        for each in examples:
            features, *truth, _ = batch([known(each, way)])
            runs.append((*self._network(features), truth))
        found = torch.sigmoid(loss.presence(torch.cat([presence for _, presence, _ in runs], dim=1)))[0]
        heard = found.numpy() > FOUND
        lists = {
            "all": allowed(np.ones(len(STEMS), bool)),
            "listed": allowed(listed),
            "found": allowed(heard if heard.any() else ~heard),
            "kept": allowed(listed, KEPT[way]),
        }
        sums = {name: Sums() for name in LISTS}
        for name, stems in lists.items():
            only = torch.from_numpy(stems)[None]
            for logits, _, (inputs, products, energies) in runs:
                shares = loss.masks(logits, only)
                sums[name].errors += loss.errors(shares, inputs, products, energies)[0].numpy()
                sums[name].outputs += loss.errors(shares, inputs, 0 * products, 0 * energies)[0].numpy()
                sums[name].energies += energies[0].numpy()
                sums[name].mixture += float(loss.mixture(inputs)[0])
        return sums, found.numpy().astype(float)


def network_of(file: Path, examples: list[Example]) -> BandNet:
    """The moving average in a checkpoint, or the file that ships."""
    network = BandNet()
    if file.suffix == ".safetensors":
        begin_with(network, file, batch([known(each, "spleeter") for each in examples[:8]])[0])
        return network
    state = torch.load(file, map_location="cpu", weights_only=True)["average"]
    network.load_state_dict(
        {name.removeprefix("module."): value for name, value in state.items() if name != "n_averaged"}
    )
    return network


def main() -> None:
    """Read the options and print the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m training.judge", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path, help="of a run, or the file that ships")
    parser.add_argument(
        "--examples", type=Path, required=True, help="from training.examples, --plain or --real"
    )
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--songs", action="store_true", help="print each song")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    songs: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(options.examples.glob("*.npz")):
        songs[path.stem.rpartition("_")[0]].append(path)
    judge = Judge(network_of(options.checkpoint, [load(paths[0]) for paths in songs.values()]))
    for way in options.ways:
        rows: dict[str, list[Floats]] = defaultdict(list)
        absent: dict[str, list[float]] = defaultdict(list)
        for name, paths in songs.items():
            examples = [load(path) for path in paths]
            sums, found = judge.song(examples, way)
            has_bass = any(STEMS.index("bass") in each.stems for each in examples)
            listed = np.any([each.listed for each in examples], axis=0)
            for kind in LISTS:
                rows[kind].append(sums[kind].sdr(has_bass))
                absent[kind].append(sums[kind].absent(listed))
            if options.songs:
                told = "  ".join(f"{stem} {value:.2f}" for stem, value in zip(STEMS, found, strict=True))
                print(f"  {way:8s} {name:16s} found: {told}")
                for kind in LISTS:
                    print(f"    {kind:8s} {_line(rows[kind][-1])}  absent {absent[kind][-1]:6.1f}")
        for kind in LISTS:
            with np.errstate(all="ignore"):
                medians = np.array([np.median(c[~np.isnan(c)]) for c in np.array(rows[kind]).T])
            quiet = np.array(absent[kind])
            quiet = quiet[~np.isnan(quiet)]
            print(
                f"{way:8s} {kind:8s} {_line(medians)}  absent {np.median(quiet):6.1f} worst {quiet.max():6.1f}"
            )


def _line(values: Floats) -> str:
    return "  ".join(f"{stem} {value:5.2f}" for stem, value in zip(STEMS, values, strict=True))


if __name__ == "__main__":
    main()
