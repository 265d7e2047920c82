"""`python -m evaluation.spleeter_band`: compare masks above 11 kHz, where Spleeter's network has none."""

import argparse
import statistics
from pathlib import Path
from unittest.mock import patch

from evaluation.datasets import SAMPLE_RATE, Audio, songs
from evaluation.metrics import sdr
from evaluation.references import inverse, transform
from evaluation.scores import scored_truths
from stemsplitter.library import Separator
from stemsplitter.separation.architectures.spleeter import model
from stemsplitter.separation.architectures.spleeter.network import BINS
from stemsplitter.separation.layouts import LAYOUTS

CHOICES = (64, 256, BINS)  # number of the network's last bins whose mean is the mask above


def main() -> None:
    """Print the mean SDR of vocals and instrumental, overall and above 11 kHz only, for each choice."""
    parser = argparse.ArgumentParser(prog="python -m evaluation.spleeter_band", description=__doc__)
    parser.add_argument("--devset", type=Path, help="a folder of songs with true stems, see the README")
    figures: dict[str, list[list[float]]] = {}
    separator = Separator("spleeter_2s", device="cpu")
    for song in songs(parser.parse_args().devset):
        truths = dict(scored_truths(song, LAYOUTS["2s"]))
        if not all(stem in truths and truths[stem].any() for stem in LAYOUTS["2s"]):
            continue
        for bins in CHOICES:
            with patch.object(model, "EXTENSION_BINS", bins):
                vocals = separator.separate(song.mixture, sample_rate=SAMPLE_RATE).stems["vocals"]
            row = _scores(truths, song.mixture, vocals)
            figures.setdefault(f"mean over the last {bins} bins", []).append(row)
        row = _scores(truths, song.mixture, vocals - _above(vocals))
        figures.setdefault("all to the instrumental", []).append(row)
    print("| mask above 11 kHz | vocals | instrumental | vocals above 11 kHz | instrumental above 11 kHz |")
    print("| --- | --- | --- | --- | --- |")
    for choice, rows in figures.items():
        means = (statistics.mean(column) for column in zip(*rows, strict=True))
        print(f"| {choice} | {' | '.join(f'{mean:.2f}' for mean in means)} |".replace("-", "−"))


def _scores(truths: dict[str, Audio], mixture: Audio, vocals: Audio) -> list[float]:
    stems = {"vocals": vocals, "instrumental": mixture - vocals}
    whole = [sdr(truth, stems[stem]) for stem, truth in truths.items()]
    return whole + [sdr(_above(truth), _above(stems[stem])) for stem, truth in truths.items()]


def _above(signal: Audio) -> Audio:
    """The part of a signal [2, n] above the network's last bin."""
    spectrum = transform(signal)
    spectrum[..., :BINS] = 0
    return inverse(spectrum, signal.shape[1])


if __name__ == "__main__":
    main()
