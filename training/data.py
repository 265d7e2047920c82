"""Stretches of rendered songs, mixed at random, and their spectra.

A song is a folder with one FLAC file at 22.05 kHz for each stem that it has. Half the product's sample rate,
transform and hop are the same bins up to 11 kHz, which is as far as the network hears.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import scipy.fft
import soundfile
from numpy.typing import NDArray

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
DROPPED: Final = {"vocals": 0.25, "drums": 0.12, "bass": 0.12, "guitar": 0.12, "piano": 0.5, "other": 0.45}
RESAMPLED: Final = 0.4
DRIVEN: Final = {"guitar": 0.25, "bass": 0.15}
GUITAR_ALONE: Final = 0.25  # share of mixtures with a guitar in which nothing else plays harmony

Audio = NDArray[np.float32]
Spectra = NDArray[np.complex64]


class Songs:
    """The rendered songs of a folder, read from the disk as needed."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._songs = [
            {stem: path for stem in STEMS if (path := folder / f"{stem}.flac").exists()} for folder in folders
        ]
        self._songs = [song for song in self._songs if song and _length(song) > 2 * SAMPLES]
        self._having = {stem: [song for song in self._songs if stem in song] for stem in STEMS}

    def __len__(self) -> int:
        return len(self._songs)

    def plain(self, number: int, start: float) -> dict[str, Audio]:
        """A stretch of a song as it is, ``[SAMPLES, 2]`` for each stem; ``start`` is a share of what there is."""
        song = self._songs[number]
        first = int(start * (_length(song) - SAMPLES))
        return {stem: _cut(path, first, SAMPLES) for stem, path in song.items()}

    def mixed(self, random: np.random.Generator) -> dict[str, Audio]:
        """Stems that belong together, or not: ``[SAMPLES, 2]`` each. Those that are silent here are among them."""
        song = self._songs[random.integers(len(self._songs))]
        rate = np.exp(random.uniform(-0.15, 0.15)) if random.random() < RESAMPLED else 1.0
        needed = int(np.ceil(SAMPLES * rate)) + 1
        first = int(random.integers(_length(song) - needed))
        only = random.random() < GUITAR_ALONE
        flipped = random.random() < 0.5
        gain = random.uniform(-12, 6)
        out = {}
        for stem in STEMS:
            source, begin = song.get(stem), first
            foreign = random.random() < (ADDED[stem] if source is None else SWAPPED)
            if foreign and self._having[stem]:
                source = self._having[stem][random.integers(len(self._having[stem]))][stem]
                begin = int(random.integers(_frames(source) - needed))
            if source is None or random.random() < DROPPED[stem]:
                continue
            if only and "guitar" in out and stem in ("piano", "other"):
                continue
            audio = _driven(_resampled(_cut(source, begin, needed), rate), stem, random)
            level = np.clip(random.normal(0, 4), -14, 8) + gain
            out[stem] = audio[:, :: -1 if flipped else 1] * np.float32(10 ** (level / 20))
        if not any(audio.any() for audio in out.values()):
            return self.mixed(random)
        return out


def _frames(path: Path) -> int:
    return int(soundfile.info(path).frames)


def _length(song: dict[str, Path]) -> int:
    return min(map(_frames, song.values()))


def _cut(path: Path, first: int, count: int) -> Audio:
    audio, _ = soundfile.read(path, frames=count, start=first, dtype="float32", always_2d=True)
    return np.pad(audio, ((0, count - len(audio)), (0, 0)))


def _resampled(stem: Audio, rate: float) -> Audio:
    """Faster or slower, pitch and all."""
    if rate == 1.0:
        return stem[:SAMPLES]
    at = np.arange(SAMPLES) * rate
    low = at.astype(int)
    share = (at - low).astype(np.float32)[:, None]
    return stem[low] * (1 - share) + stem[low + 1] * share


def _driven(audio: Audio, stem: str, random: np.random.Generator) -> Audio:
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


def transformed(stems: Audio) -> Spectra:
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

    def __call__(self, mixture: Spectra) -> Spectra:
        """The vocals ``[2, T, BINS]`` found in ``mixture``."""


class Spleeter:
    """Spleeter, with its errors: voices missed, and instruments taken for voices."""

    def __init__(self) -> None:
        """Raises ModelError where its weights are not here: ``stemsplitter models pull spleeter_2s``."""
        store = ModelStore()
        states = [read_numpy_pickle(path) for path in store.weights("spleeter_2s")]
        self._network = OpenVinoRuntime(threads=1).compile(
            lambda: network.Spleeter(states),
            {"magnitude": (1, 2, FRAMES, network.BINS)},
            store.cache_dir("spleeter_2s") / f"training-{FRAMES}",
        )

    def __call__(self, mixture: Spectra) -> Spectra:
        channels = _turned(mixture)
        (mask,) = self._network((np.abs(channels[..., : network.BINS]) * np.float32(N_FFT / 2))[None])
        channels *= np.pad(mask[0], ((0, 0), (0, 0), (0, 1)), mode="edge")
        return _turned(channels)


def _turned(pair: Spectra) -> Spectra:
    """Left and right from middle and side, or middle and side from left and right."""
    one, other = pair * np.float32(np.sqrt(0.5))
    return np.stack((one + other, one - other))
