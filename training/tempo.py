"""Train the network that tells the tempo of a song.

``python -m training.tempo --out src/stemsplitter/analysis/weights/tempo.npz`` sketches songs (`training.sketch`),
measures their onsets as the package does, and fits the network. ``--cache`` keeps what was measured: a run that was
stopped goes on.

The network sees the correlations of the onsets at fractions and multiples of a tempo's beat, and the tempo. It scores
each tempo by itself, so that all of them share its weights; the song's tempo is that of the highest score.
"""

import argparse
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from evaluation.tempi import accuracies
from stemsplitter.analysis.onsets import Onsets
from stemsplitter.analysis.periodicity import FEATURES_PER_TEMPO, correlations, features
from stemsplitter.analysis.tempo import SLOWEST, STEPS, TEMPI, inputs
from training.composer import compose
from training.measured import Measured, kept
from training.sketch import RATE, metronome, sketch

# Songs are also shown faster and slower, by up to this many steps.
MARGIN: Final = 22
WIDE: Final = SLOWEST * 2 ** ((np.arange(len(TEMPI) + 2 * MARGIN) - MARGIN) / STEPS)
HIDDEN: Final = (48, 24)
WIDTH: Final = 0.012  # octaves by which a tempo may be off and count as right
BATCH: Final = 64
METRONOMES: Final = 50_000  # numbers from here on are clicks, an eighth of the examples


def measure(seed: int, number: int) -> tuple[NDArray[np.float32], float]:
    """Return the features of a song without and with its drums stem ``[2, tempi, features]``, and its tempo."""
    random = np.random.default_rng((seed, number))
    if number >= METRONOMES:
        mixture, drums, tempo = metronome(random)
        part = slice(None)
    else:
        song = compose(random)
        mixture, drums = sketch(song, random)
        tempo, seconds = song.tempo, random.uniform(6, song.seconds)
        first = int(random.uniform(0, song.seconds - seconds) * RATE)
        part = slice(first, first + int(seconds * RATE))
    curves = [_curves(each[part]) for each in (mixture, drums)]
    rate = Onsets(RATE).frames_per_second
    measured = []
    for given in (curves[0], np.concatenate(curves, axis=1)):
        found = correlations(given, rate)
        assert found is not None
        measured.append(features(found, WIDE, rate))
    return np.stack(measured).astype(np.float32), tempo


def _curves(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    onsets = Onsets(RATE)
    onsets.push(samples)
    return onsets.curves()


def measured_songs(songs: int, seed: int, cache: Path) -> Iterator[Measured[float]]:
    """Yield what :func:`measure` returns for each song and each metronome."""
    return kept(cache, seed, (*range(songs), *range(METRONOMES, METRONOMES + songs // 8)), measure)


def network() -> torch.nn.Sequential:
    """Return a new network: the features and the tempo to a score."""
    sizes = (FEATURES_PER_TEMPO + 3, *HIDDEN, 1)
    layers: list[torch.nn.Module] = []
    for number, (before, after) in enumerate(pairwise(sizes)):
        layers += [torch.nn.Tanh()] * (number > 0) + [torch.nn.Linear(before, after)]
    return torch.nn.Sequential(*layers)


class Examples:
    """Songs at random speeds, as batches of inputs and of the probability of each tempo."""

    def __init__(self, songs: list[tuple[NDArray[np.float32], float]], random: np.random.Generator) -> None:
        self._features = np.stack([found for found, _ in songs])
        self._places = STEPS * np.log2(
            np.array([tempo for _, tempo in songs]) / SLOWEST
        )  # steps from the slowest
        self._random = random
        self._octaves = inputs(np.zeros((len(TEMPI), 0)), TEMPI).astype(np.float32)

    def batch(self, spread: float = 8.0) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw a batch; ``spread`` is the standard deviation of the change of speed in steps."""
        shifts = np.rint(self._random.normal(0, spread, BATCH)).clip(-MARGIN, MARGIN).astype(int)
        chosen = self._random.integers(0, len(self._features), BATCH)
        with_drums = self._random.random(BATCH) < 0.3
        return self._examples(chosen, with_drums.astype(int), shifts)

    def all(self, with_drums: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return all songs as they are."""
        every = np.arange(len(self._features))
        return self._examples(every, np.full(len(every), with_drums), np.zeros(len(every), int))

    def _examples(
        self, chosen: NDArray[np.intp], with_drums: NDArray[np.intp], shifts: NDArray[np.intp]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        rows, targets = [], []
        for song, drums, shift in zip(chosen, with_drums, shifts, strict=True):
            # a song that is faster by some steps has at each tempo the features of one slower by as many
            first = MARGIN - shift
            seen = self._features[song, drums, first : first + len(TEMPI)]
            rows.append(np.concatenate([seen, self._octaves], axis=1))
            distance = (np.arange(len(TEMPI)) - self._places[song] - shift) / STEPS
            near = np.exp(-0.5 * (distance / WIDTH) ** 2) + 1e-9
            targets.append(near / near.sum())
        return torch.tensor(np.stack(rows)), torch.tensor(np.stack(targets), dtype=torch.float32)


def _accuracies(scores: torch.Tensor, targets: torch.Tensor) -> tuple[float, float]:
    found, true = (TEMPI[each.argmax(1).numpy()].tolist() for each in (scores, targets))
    return accuracies(list(zip(true, found, strict=True)))


def fit(examples: Examples, held_out: Examples, steps: int, rate: float = 2e-3) -> torch.nn.Sequential:
    """Train a network and return it."""
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps)
    for step in range(steps):
        values, targets = examples.batch()
        values[..., :FEATURES_PER_TEMPO] += 0.02 * torch.randn((*values.shape[:2], FEATURES_PER_TEMPO))
        loss = -(targets * model(values)[..., 0].log_softmax(1)).sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 500 == 499:
            model.eval()
            with torch.inference_mode():
                figures = [_accuracies(model(x)[..., 0], y) for x, y in (held_out.all(0), held_out.all(1))]
            model.train()
            print(f"{step + 1}: loss {loss:.3f}, held out {figures[0]}, with drums {figures[1]}", flush=True)
    return model


def export(model: torch.nn.Sequential, path: Path) -> None:
    """Write the weights, as `stemsplitter.analysis.tempo` reads them."""
    layers = [layer for layer in model if isinstance(layer, torch.nn.Linear)]
    arrays = {}
    for number, layer in enumerate(layers):
        arrays[f"weight{number}"] = layer.weight.detach().numpy().T
        arrays[f"bias{number}"] = layer.bias.detach().numpy()
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--songs", type=int, default=800, help="songs of each seed; one in ten is held out")
    parser.add_argument("--seed", type=int, nargs="+", default=[1, 2], help="other seeds, other songs")
    parser.add_argument("--steps", type=int, default=3000, help="of training")
    parser.add_argument("--cache", type=Path, default=Path("tempo-cache"), help="folder of measured songs")
    parser.add_argument("--out", type=Path, required=True, help="file for the weights")
    options = parser.parse_args()
    torch.manual_seed(options.seed[0])
    songs = [song for seed in options.seed for song in measured_songs(options.songs, seed, options.cache)]
    random = np.random.default_rng(options.seed[0])
    random.shuffle(songs)  # type: ignore[arg-type]
    tenth = max(len(songs) // 10, 1)
    model = fit(Examples(songs[tenth:], random), Examples(songs[:tenth], random), options.steps)
    export(model, options.out)


if __name__ == "__main__":
    main()
