"""Examples to train on, mixed at random out of rendered songs.

A song is a folder with one int16 ``[n, 2]`` array at 22.05 kHz for each stem that it has. Half the product's
sample rate, transform and hop are the same bins up to 11 kHz, which is as far as the network hears.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import scipy.fft
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset

from stemsplitter.catalogue.store import ModelStore
from stemsplitter.checkpoints.readers import read_numpy_pickle
from stemsplitter.separation.architectures.bandnet import bands
from stemsplitter.separation.architectures.spleeter import network
from stemsplitter.separation.runtimes.openvino import OpenVinoRuntime
from training.score import STEMS

FRAMES: Final = 256
N_FFT: Final = 2048
HOP: Final = 512
SAMPLES: Final = (FRAMES - 1) * HOP + N_FFT
WINDOW: Final = (np.hanning(N_FFT + 1)[:-1] / (N_FFT / 4)).astype(np.float32)

SWAPPED: Final = 0.3  # share of stems that come from another song
# Of the stems that the song lacks, the share that gets one from another song; and the share that is left out. On
# records of bands there nearly always is a guitar, and less often keys, horns or strings than in the rendered songs:
# what can be told from nothing else, the network shares out by what is usual.
ADDED: Final = {"vocals": 0.35, "drums": 0.35, "bass": 0.35, "guitar": 0.6, "piano": 0.15, "other": 0.2}
DROPPED: Final = {"vocals": 0.25, "drums": 0.1, "bass": 0.1, "guitar": 0.1, "piano": 0.5, "other": 0.45}
ALONE: Final = 0.15  # share of examples without vocals from another model
IMAGINED: Final = 0.45  # share of those with some that come from a model which is only imagined
RESAMPLED: Final = 0.4
DRIVEN: Final = {"guitar": 0.25, "bass": 0.15}

Spectra = NDArray[np.complex64]


@dataclass(frozen=True)
class Example:
    """Features, and what the error of any masks is computed from; see `training.loss`.

    Shapes: features ``[7, T, BANDS]``; powers of the instrumental, of the vocals, and the real part of their
    product ``[3, 2, T, BANDS]``; real parts of instrumental and vocals times each stem ``[2, 6, 2, T, BANDS]``;
    energy of each stem ``[6]``.
    """

    features: NDArray[np.float32]
    inputs: NDArray[np.float32]
    products: NDArray[np.float32]
    energies: NDArray[np.float32]


class Songs:
    """The rendered songs of a folder, read from the disk as needed."""

    def __init__(self, folders: list[Path]) -> None:
        self._songs = [
            {
                stem: np.load(path, mmap_mode="r")
                for stem in STEMS
                if (path := folder / f"{stem}.npy").exists()
            }
            for folder in folders
        ]
        self._songs = [song for song in self._songs if song and min(map(len, song.values())) > 2 * SAMPLES]
        self._having = {stem: [s for s in self._songs if stem in s] for stem in STEMS}

    def __len__(self) -> int:
        return len(self._songs)

    def plain(self, number: int, start: float) -> NDArray[np.float32]:
        """A stretch of a song as it is: ``[6, SAMPLES, 2]``, beginning at a share ``start`` of what there is."""
        song = self._songs[number]
        first = int(start * (min(map(len, song.values())) - SAMPLES))
        return np.stack([_cut(song.get(stem), first, SAMPLES) for stem in STEMS])

    def mixed(self, random: np.random.Generator) -> NDArray[np.float32]:
        """Stems that belong together, or not: ``[6, SAMPLES, 2]``."""
        song = self._songs[random.integers(len(self._songs))]
        rate = np.exp(random.uniform(-0.15, 0.15)) if random.random() < RESAMPLED else 1.0
        needed = int(np.ceil(SAMPLES * rate)) + 1
        first = random.integers(min(map(len, song.values())) - needed)
        out = np.zeros((len(STEMS), SAMPLES, 2), np.float32)
        for stem, row in zip(STEMS, out, strict=True):
            source, begin = song.get(stem), first
            foreign = random.random() < (ADDED[stem] if source is None else SWAPPED)
            if foreign and self._having[stem]:
                source = self._having[stem][random.integers(len(self._having[stem]))][stem]
                begin = random.integers(len(source) - needed)
            if source is None or random.random() < DROPPED[stem]:
                continue
            row[...] = _driven(_resampled(_cut(source, begin, needed), rate), stem, random)
            row *= 10 ** (np.clip(random.normal(0, 4), -14, 8) / 20)
        if not out.any():
            return self.mixed(random)
        if random.random() < 0.5:
            out = out[..., ::-1]
        return out * np.float32(10 ** (random.uniform(-12, 6) / 20))


def _cut(stem: NDArray[np.int16] | None, first: int, count: int) -> NDArray[np.float32]:
    if stem is None:
        return np.zeros((count, 2), np.float32)
    out = stem[first : first + count].astype(np.float32) / 32768
    return np.pad(out, ((0, count - len(out)), (0, 0)))


def _resampled(stem: NDArray[np.float32], rate: float) -> NDArray[np.float32]:
    """Faster or slower, pitch and all."""
    if rate == 1.0:
        return stem[:SAMPLES]
    at = np.arange(SAMPLES) * rate
    low = at.astype(int)
    share = (at - low).astype(np.float32)[:, None]
    return stem[low] * (1 - share) + stem[low + 1] * share


def _driven(audio: NDArray[np.float32], stem: str, random: np.random.Generator) -> NDArray[np.float32]:
    """Of guitars and basses some through an overdriven stage: a soft, lopsided curve, as loud as before."""
    if random.random() >= DRIVEN.get(stem, 0.0):
        return audio
    level = np.sqrt(np.mean(audio**2))
    if level < 1e-4:
        return audio
    drive = np.exp(random.uniform(-0.7, 2.0)) / level
    bias = np.float32(random.uniform(0, 0.5))
    driven = np.tanh(audio * np.float32(drive) + bias) - np.tanh(bias)
    return driven * np.float32(level / max(np.sqrt(np.mean(driven**2)), 1e-6))


def transformed(stems: NDArray[np.float32]) -> Spectra:
    """Middle and side of ``[S, SAMPLES, 2]`` as spectra ``[S, 2, FRAMES, BINS]``."""
    left, right = stems[..., 0], stems[..., 1]
    both = np.stack((left + right, left - right), axis=1) * np.float32(np.sqrt(0.5))
    frames = np.lib.stride_tricks.sliding_window_view(both, N_FFT, axis=-1)[:, :, ::HOP]
    return scipy.fft.rfft(frames * WINDOW)


def equalised(spectra: Spectra, random: np.random.Generator) -> Spectra:
    """Most stems through a random, smooth equaliser, and wider or narrower."""
    octaves = np.log2(np.arange(bands.BINS) + 1.0)
    for stem in spectra:
        if random.random() < 0.7:
            points = random.normal(0, random.uniform(1, 6), 6)
            stem *= (10 ** (np.interp(octaves, np.linspace(2, 10, 6), points) / 20)).astype(np.float32)
        if random.random() < 0.4:
            stem[1] *= np.float32(random.uniform(0, 1.5))
    return spectra


class VocalsFinder(Protocol):
    """Finds the vocals in spectra of middle and side."""

    def __call__(self, spectra: Spectra, mixture: Spectra, random: np.random.Generator) -> Spectra:
        """The vocals ``[2, T, BINS]`` found in ``mixture``, whose true stems are ``spectra``."""


def no_vocals(spectra: Spectra, mixture: Spectra, random: np.random.Generator) -> Spectra:
    """No model looks for vocals: the network is alone."""
    return np.zeros_like(mixture)


def imagined(spectra: Spectra, mixture: Spectra, random: np.random.Generator) -> Spectra:
    """What a model might find that is as good on these voices as a real one is on real voices.

    A ratio mask of random sharpness from the true powers, blurred, with a part of the vocals missed and some
    of the rest taken for vocals, both in patches.
    """
    vocals = (np.abs(spectra[0]) ** 2).sum(axis=0)
    rest = (np.abs(mixture - spectra[0]) ** 2).sum(axis=0)
    sharpness, bias = random.uniform(0.6, 1.3), np.exp(random.normal(0, 0.6))
    mask = 1 / (1 + bias * ((rest + 1e-9) / (vocals + 1e-12)) ** np.float32(sharpness))
    if random.random() < 0.6:
        mask[1:-1] = (mask[:-2] + mask[1:-1] + mask[2:]) / 3
        mask[:, 1:-1] = (mask[:, :-2] + mask[:, 1:-1] + mask[:, 2:]) / 3
    missed = 1 - random.uniform(0, 0.5) * _patches(random)
    taken = random.choice([0.02, 0.1, 0.4]) * random.random() * _patches(random)
    return mixture * np.asarray(mask * missed + (1 - mask) * taken, np.float32)


class Spleeter:
    """What Spleeter finds, with its errors: voices missed, and instruments taken for voices."""

    def __init__(self) -> None:
        """Raises ModelError where its weights are not here: ``stemsplitter models pull spleeter_2s``."""
        store = ModelStore()
        states = [read_numpy_pickle(path) for path in store.weights("spleeter_2s")]
        self._network = OpenVinoRuntime(threads=1).compile(
            lambda: network.Spleeter(states),
            {"magnitude": (1, 2, FRAMES, network.BINS)},
            store.cache_dir("spleeter_2s") / f"training-{FRAMES}",
        )

    def __call__(self, spectra: Spectra, mixture: Spectra, random: np.random.Generator) -> Spectra:
        channels = _turned(mixture)
        (mask,) = self._network((np.abs(channels[..., : network.BINS]) * np.float32(N_FFT / 2))[None])
        channels *= np.pad(mask[0], ((0, 0), (0, 0), (0, 1)), mode="edge")
        return _turned(channels)


def _turned(pair: Spectra) -> Spectra:
    """Left and right from middle and side, or middle and side from left and right."""
    one, other = pair * np.float32(np.sqrt(0.5))
    return np.stack((one + other, one - other))


def _patches(random: np.random.Generator) -> NDArray[np.float32]:
    """Random patches in time and frequency, 0…1, mostly 0: ``[FRAMES, BINS]``."""
    grid = np.clip(random.normal(-0.3, 0.8, (FRAMES // 8, 32)), 0, 1).astype(np.float32)
    octave = np.minimum(np.log2(np.arange(bands.BINS) + 1.0) * 3.1, 31).astype(int)
    return np.repeat(grid, 8, axis=0)[:, octave]


def example(
    stems: NDArray[np.float32], random: np.random.Generator, find: VocalsFinder, *, augment: bool
) -> Example:
    """From stems ``[6, SAMPLES, 2]`` and what finds the vocals in their sum."""
    spectra = transformed(stems)
    if augment:
        spectra = equalised(spectra, random)
    mixture = spectra.sum(axis=0)
    vocals = find(spectra, mixture, random)
    instrumental = mixture - vocals
    inputs = np.stack(
        (_product(instrumental, instrumental), _product(vocals, vocals), _product(instrumental, vocals))
    )
    products = np.stack((_product(instrumental, spectra), _product(vocals, spectra)))
    return Example(
        features=bands.features(inputs[0], _product(*instrumental), inputs[1]),
        inputs=bands.summed(inputs),
        products=bands.summed(products),
        energies=(np.abs(spectra) ** 2).sum(axis=(1, 2, 3), dtype=np.float64).astype(np.float32),
    )


def _product(one: Spectra, other: Spectra) -> NDArray[np.float32]:
    """Real part of the one times the conjugate of the other."""
    return one.real * other.real + one.imag * other.imag


class Mixtures(IterableDataset[Example]):
    """Examples without end; the order depends on the seed and on the number of workers."""

    def __init__(self, songs: Songs, seed: int) -> None:
        self._songs, self._seed = songs, seed

    def __iter__(self) -> Iterator[Example]:
        torch.set_num_threads(1)
        info = torch.utils.data.get_worker_info()
        random = np.random.default_rng((self._seed, info.id if info else 0))
        real = Spleeter()
        while True:
            found = imagined if random.random() < IMAGINED else real
            find = no_vocals if random.random() < ALONE else found
            yield example(self._songs.mixed(random), random, find, augment=True)


def batch(examples: list[Example]) -> tuple[torch.Tensor, ...]:
    """Features, inputs, products, energies, each with the examples as its first axis."""
    names = ("features", "inputs", "products", "energies")
    return tuple(torch.from_numpy(np.stack([getattr(e, name) for e in examples])) for name in names)
