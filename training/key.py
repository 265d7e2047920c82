"""Train the network that tells the key of a song.

``python -m training.key --out src/stemsplitter/analysis/weights/key.npz --rendered data`` sketches songs
(`training.sketch`), adds mixes of songs that `training.render` has rendered, measures their pitch classes as the
package does, and fits the network. ``--cache`` keeps what was measured: a run that was stopped goes on.

The network sees a song from one tonic, and scores its major and its minor key; all tonics share its weights, so that a
transposed song has the transposed key. Of songs without a key all keys are as likely.
"""

import argparse
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from evaluation.keys import weighted
from stemsplitter.analysis.keys import Key, parse_key, profile_scores
from stemsplitter.analysis.pitches import Pitches
from stemsplitter.analysis.tonality import features, pooled
from training.composer import compose
from training.measured import Measured, kept
from training.score import Part, Song
from training.sketch import RATE, sketch

HIDDEN: Final = 32
BATCH: Final = 128
EXCERPTS: Final = 2  # of each song, beside the whole
SHORTEST: Final = 40  # moments of 0.4 s in an excerpt
MIXES: Final = 5  # of each rendered song, beside its own
KEYLESS: Final = 0.06  # share of songs without a key
SMOOTHING: Final = 0.03
OVERDRIVEN: Final = {"rock": 0.8, "metal": 0.8}  # share of guitars
_NONE: Final = -1  # no key


def measure(seed: int, number: int) -> Measured[int]:
    """Return the pitch classes of a sketch as :func:`~stemsplitter.analysis.tonality.pooled` has them, and its key."""
    random = np.random.default_rng((seed, number))
    song = compose(random)
    key = _number(Key(song.tonic, song.mode))
    if random.random() < KEYLESS:
        song, key = without_key(song, random), _NONE
    cents = float(random.normal(0, 6) if random.random() < 0.6 else random.uniform(-50, 50))
    share = OVERDRIVEN.get(song.style, 0.25)
    overdriven = [part for part in song.parts if part.stem == "guitar" and random.random() < share]
    mixture, _ = sketch(song, random, cents=cents, overdriven=overdriven)
    return classes(mixture), key


def classes(mixture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the pitch classes of a mono song."""
    pitches = Pitches(RATE)
    pitches.push(mixture)
    frames, tuning = pitches.frames()
    return pooled(frames, pitches.bass(tuning)).astype(np.float32)


def without_key(song: Song, random: np.random.Generator) -> Song:
    """Return the drums of a song, or the song with notes at random."""
    drums = tuple(part for part in song.parts if part.stem == "drums")
    if drums and random.random() < 0.5:
        return dataclasses.replace(song, parts=drums)
    parts = [part if part.stem == "drums" else _astray(part, random) for part in song.parts]
    return dataclasses.replace(song, parts=tuple(parts))


def _astray(part: Part, random: np.random.Generator) -> Part:
    notes = [dataclasses.replace(note, pitch=note.pitch + int(random.integers(-6, 6))) for note in part.notes]
    return Part(part.stem, part.role, tuple(notes))


def rendered_songs(folder: Path, random: np.random.Generator) -> Iterator[Measured[int]]:
    """Yield the songs that `training.render` has put into a folder, each in several mixes."""
    for about in sorted(folder.glob("*/song.json")):
        given = json.loads(about.read_text(encoding="utf-8"))
        stems = {
            path.stem: soundfile.read(path, dtype="float32")[0].mean(axis=1)
            for path in about.parent.glob("*.flac")
        }
        key = _number(parse_key(given["key"]))
        yield classes(np.sum(list(stems.values()), axis=0)), key
        for _ in range(MIXES):
            heard = [
                stem * np.float32(10 ** (random.uniform(-8, 8) / 20))
                for name, stem in stems.items()
                if name in ("guitar", "piano", "other") or random.random() < 0.85
            ]
            if heard:
                yield classes(np.sum(heard, axis=0)), key


def _number(key: Key) -> int:
    return key.tonic + 12 * (key.mode == "minor")


class Network(torch.nn.Module):
    """Scores ``[..., 2]`` of the major and the minor key on a tonic from its features ``[..., 48]``."""

    def __init__(self, mean: torch.Tensor, spread: torch.Tensor) -> None:
        super().__init__()
        self.mean, self.spread = mean, spread
        self.first, self.last = torch.nn.Linear(len(mean), HIDDEN), torch.nn.Linear(HIDDEN, 2)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        drop = torch.nn.functional.dropout
        values = drop((values - self.mean) / self.spread, 0.1, self.training)
        scores: torch.Tensor = self.last(drop(torch.tanh(self.first(values)), 0.3, self.training))
        return scores

    def keys(self, values: torch.Tensor, profiles: torch.Tensor) -> torch.Tensor:
        """Return the scores ``[n, 24]`` of the major, then the minor keys of songs ``[n, 12, 48]``.

        ``profiles`` is the share of the profiles in them.
        """
        scores: torch.Tensor = self(values).transpose(1, 2).flatten(1)
        return scores + profiles


_Examples = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def examples(songs: list[Measured[int]], random: np.random.Generator) -> _Examples:
    """Return the features of songs and of excerpts of them ``[n, 12, 48]``, the share of the profiles in the
    scores, and the probability of each key, ``[n, 24]`` each."""
    rows, targets = [], []
    for found, key in songs:
        seen = [found, *(_disturbed(_excerpt(found, random), random) for _ in range(EXCERPTS))]
        rows += [features(each).astype(np.float32) for each in seen]
        target = np.full(24, 1 / 24 if key == _NONE else SMOOTHING / 24, np.float32)
        if key != _NONE:
            target[key] += 1 - SMOOTHING
        targets += [target] * len(seen)
    profiles = [profile_scores(row).ravel().astype(np.float32) for row in rows]
    return torch.tensor(np.stack(rows)), torch.tensor(np.stack(profiles)), torch.tensor(np.stack(targets))


def _excerpt(found: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    count = int(random.uniform(min(SHORTEST, len(found)), len(found)))
    first = int(random.integers(0, len(found) - count + 1))
    return found[first : first + count]


def _disturbed(found: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """Return half of the songs with drums or noise, which favor some pitch classes by chance."""
    if random.random() < 0.5:
        return found
    favored = random.dirichlet(np.full(24, random.choice([1, 5, 50])))
    level = random.uniform(0, 0.6) * found.sum(axis=1, keepdims=True) * random.random((len(found), 1))
    return (found + level * favored).astype(np.float32)


def fit(given: _Examples, steps: int, rate: float = 3e-3) -> Network:
    """Train a network and return it."""
    values, profiles, targets = given
    spread = values.std((0, 1)) + 0.05
    model = Network(values.mean((0, 1)), spread)
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps)
    for step in range(steps):
        chosen = torch.randint(0, len(values), (BATCH,))
        seen = values[chosen]
        seen = seen + 0.1 * spread * torch.randn(seen.shape)
        scores = model.keys(seen, profiles[chosen])
        loss = -(targets[chosen] * scores.log_softmax(1)).sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 500 == 499:
            print(f"{step + 1}: loss {loss:.3f}", flush=True)
    return model.eval()


def export(model: Network, path: Path) -> None:
    """Write the weights, as `stemsplitter.analysis.keys` reads them: for features as they are."""
    weight = model.first.weight / model.spread
    arrays = {
        "weight0": weight.T,
        "bias0": model.first.bias - weight @ model.mean,
        "weight1": model.last.weight.T,
        "bias1": model.last.bias,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{name: array.detach().numpy() for name, array in arrays.items()})  # type: ignore[arg-type]


def _accuracies(model: Network, songs: list[Measured[int]]) -> tuple[float, float]:
    """Return the share of keys that are right, and the weighted score."""
    songs = [(found, key) for found, key in songs if key != _NONE]
    seen = [features(found) for found, _ in songs]
    values = torch.tensor(np.stack(seen), dtype=torch.float32)
    profiles = torch.tensor(np.stack([profile_scores(each).ravel() for each in seen]), dtype=torch.float32)
    with torch.inference_mode():
        chosen = model.keys(values, profiles).argmax(1).tolist()
    names = [Key(number % 12, "minor" if number >= 12 else "major") for number in range(24)]
    pairs = [(names[key], names[found]) for (_, key), found in zip(songs, chosen, strict=True)]
    exact = [true == found for true, found in pairs]
    return float(np.mean(exact)), float(np.mean([weighted(*pair) for pair in pairs]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--songs", type=int, default=950, help="sketches of each seed; one in ten is held out"
    )
    parser.add_argument("--seed", type=int, nargs="+", default=[11, 12], help="other seeds, other songs")
    parser.add_argument("--rendered", type=Path, nargs="*", default=[], help="folders of rendered songs")
    parser.add_argument("--steps", type=int, default=1200, help="of training")
    parser.add_argument("--cache", type=Path, default=Path("key-cache"), help="folder of measured songs")
    parser.add_argument("--out", type=Path, required=True, help="file for the weights")
    options = parser.parse_args()
    torch.manual_seed(options.seed[0])
    random = np.random.default_rng(options.seed[0])
    songs = [
        song for seed in options.seed for song in kept(options.cache, seed, range(options.songs), measure)
    ]
    random.shuffle(songs)  # type: ignore[arg-type]
    tenth = max(len(songs) // 10, 1)
    rendered = [song for folder in options.rendered for song in rendered_songs(folder, random)]
    model = fit(examples(songs[tenth:] + rendered, random), options.steps)
    export(model, options.out)
    print("held out: {:.3f}, weighted {:.3f}".format(*_accuracies(model, songs[:tenth])))


if __name__ == "__main__":
    main()
