"""`python -m evaluation.consistency`: compare ways to distribute the residual among the stems.

The estimates resemble those of a network with independent outputs: each true stem's ideal ratio mask, times a
random gain that varies over time and frequency, plus parts of every other stem; and one absent, silent stem.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from evaluation.datasets import Audio, Song, songs
from evaluation.metrics import level, residual_dbfs, sdr
from evaluation.references import inverse, transform
from stemsplitter.separation.consistency import MixtureConsistency

DRIFT = {"mild": (0.15, 0.05), "rough": (0.4, 0.1)}  # deviation of the gain in nepers, share of other stems
SMOOTH = (6, 12)  # frames, bins
TINY = 1e-10

Method = Callable[[Audio, Audio, int], Audio]


def uniform(mixture: Audio, stems: Audio, rest: int) -> Audio:
    """The same share to every stem, as in the paper's simplest form."""
    out: Audio = stems + (mixture - stems.sum(axis=0)) / len(stems)
    return out


def all_to_rest(mixture: Audio, stems: Audio, rest: int) -> Audio:
    """Everything to one stem."""
    out = stems.copy()
    out[rest] += mixture - stems.sum(axis=0)
    return out


def by_frame(mixture: Audio, stems: Audio, rest: int) -> Audio:
    """By energy in frames of 2,048 samples, as in the library."""
    consistency = MixtureConsistency(len(stems), len(mixture), rest)
    return np.concatenate([consistency.push(mixture, stems), consistency.flush()], axis=-1)


def by_bin(mixture: Audio, stems: Audio, rest: int) -> Audio:
    """By energy in each bin of an STFT of 4,096 samples."""
    energy = np.array([np.abs(transform(stem)) ** 2 for stem in stems])
    energy[rest] += TINY
    left_over = transform(mixture - stems.sum(axis=0))
    shares = energy / energy.sum(axis=0)
    out: Audio = stems + np.array([inverse(share * left_over, mixture.shape[1]) for share in shares])
    return out


METHODS: dict[str, Method] = {
    "uniform": uniform,
    "all to one stem": all_to_rest,
    "energy per frame (in use)": by_frame,
    "energy per STFT bin": by_bin,
}


def estimates(song: Song, deviation: float, leak: float) -> Audio:
    """Perturbed stems [S + 1, 2, n] in the song's order; the last is absent."""
    random = np.random.default_rng(0)
    magnitudes = np.array([np.abs(transform(stem)) for stem in song.stems.values()])
    masks = magnitudes / np.maximum(magnitudes.sum(axis=0), TINY)
    spectrum, length = transform(song.mixture), song.mixture.shape[1]
    gain = partial(_drift, random, masks.shape[2:], deviation)
    disturbed = [(1 - leak) * mask * gain() + leak / len(masks) * gain() for mask in masks]
    outputs = [inverse(spectrum * np.clip(mask, 0, 1), length) for mask in disturbed]
    return np.array([*outputs, np.zeros_like(song.mixture)])


def _drift(random: np.random.Generator, shape: tuple[int, int], deviation: float) -> Audio:
    """A positive gain [frames, bins] that varies smoothly around 1."""
    noise = random.standard_normal([size + extra for size, extra in zip(shape, SMOOTH, strict=True)])
    for axis, width in enumerate(SMOOTH):
        running = np.cumsum(noise, axis=axis)
        ahead, behind = np.arange(width, running.shape[axis]), np.arange(running.shape[axis] - width)
        noise = (running.take(ahead, axis) - running.take(behind, axis)) / np.sqrt(width)
    return np.exp(deviation * noise).astype(np.float32)


def main() -> None:
    """Print one row per method and strength of the perturbation."""
    parser = argparse.ArgumentParser(prog="python -m evaluation.consistency", description=__doc__)
    parser.add_argument("--devset", type=Path, help="a folder of songs with true stems, see the README")
    chosen = [song for song in songs(parser.parse_args().devset) if len(song.stems) > 2]
    print(
        "| estimates | distribution | mean SDR change | worst stem | absent stem | worst residual | per segment |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    costs = {name: _milliseconds(method) for name, method in METHODS.items()}
    for strength, (deviation, leak) in DRIFT.items():
        disturbed = [estimates(song, deviation, leak) for song in chosen]
        for name, method in METHODS.items():
            figures = _compare(chosen, disturbed, method)
            print(f"| {strength} | {name} | {figures} | {costs[name]:.0f} ms |")


def _compare(chosen: list[Song], disturbed: list[Audio], method: Method) -> str:
    changes, absent, residuals = [], [], []
    for song, stems in zip(chosen, disturbed, strict=True):
        rest = list(song.stems).index("other")
        shared = method(song.mixture, stems, rest)
        for truth, before, after in zip(song.stems.values(), stems, shared, strict=False):
            changes.append(sdr(truth, after) - sdr(truth, before))
        absent.append(level(shared[-1], song.mixture))
        residuals.append(residual_dbfs(song.mixture, list(shared)))
    figures = (f"{statistics.mean(changes):+.2f} dB", f"{min(changes):+.2f} dB")
    silent = "silent" if np.isinf(max(absent)) else f"{max(absent):.0f} dB"
    return " | ".join((*figures, silent, f"{max(residuals):.0f} dBFS")).replace("-", "−")


def _milliseconds(method: Method) -> float:
    """Shortest CPU time of five, for six stems of 7.8 seconds."""
    noise = np.random.default_rng(0).standard_normal((7, 2, 343_980), dtype=np.float32)
    times = []
    for _ in range(5):
        start = time.process_time()
        method(noise[0], noise[1:], 0)
        times.append(time.process_time() - start)
    return 1000 * min(times)


if __name__ == "__main__":
    main()
