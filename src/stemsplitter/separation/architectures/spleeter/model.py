"""Spleeter on waveforms: the spectrogram, and an extension of the mask above the network's frequencies."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stemsplitter.checkpoints.readers import read_numpy_pickle
from stemsplitter.errors import ModelError
from stemsplitter.separation.architectures.spectral import FRAMES, SpectralModel
from stemsplitter.separation.architectures.spleeter.network import BINS, CHANNELS, Spleeter
from stemsplitter.separation.runtimes import Runtime
from stemsplitter.separation.stft import Spectrum

# Above the network's last bin, at 11 kHz, each frame's mask is the mean of its last 64 bins, 10.3–11 kHz: Spleeter's
# "average" extension, computed from the nearest bins only
EXTENSION_BINS = 64
LANDMARKS = ("down1_conv.1.weight", "down6_conv.1.weight", "up6.3.running_var", "up7.0.weight")


class SpleeterModel(SpectralModel):
    """The two-stem model; ``checkpoints`` are those of its two networks, vocals and accompaniment.

    The two stems sum to the mixture.

    Raises:
        ModelError: a checkpoint is not one of a Spleeter network.
    """

    stems: tuple[str, ...] = ("vocals", "instrumental")
    notes: tuple[str, ...] = ()

    def __init__(self, runtime: Runtime, checkpoints: Sequence[Path], cache: Path) -> None:
        super().__init__(runtime)
        self._mask = SpleeterMask(runtime, checkpoints, cache)

    def separate(self, mixture: NDArray[np.float32]) -> NDArray[np.float32]:
        spectrum = self._spectrum(mixture)
        self._mask.apply(spectrum)
        vocals = self._waveform(spectrum)
        return np.stack((vocals, mixture - vocals))


class SpleeterMask:
    """The two networks on spectra: extracts the vocals; see `spectral.VocalsMask`."""

    def __init__(self, runtime: Runtime, checkpoints: Sequence[Path], cache: Path) -> None:
        """Compile the networks; ModelError if a checkpoint is not one of a Spleeter network."""
        self._network = runtime.compile(
            lambda: Spleeter([_read(path) for path in checkpoints]),
            {"magnitude": (1, CHANNELS, FRAMES, BINS)},
            cache / "spleeter",
        )

    def apply(self, spectrum: Spectrum) -> None:
        """Turn the mixture's spectrum ``[2, FRAMES, N_FFT / 2 + 1]`` into that of the vocals, in place."""
        (mask,) = self._network(_repeated(np.abs(spectrum[:, :, :BINS]))[None])
        spectrum[:, :, :BINS] *= mask[0]
        spectrum[:, :, BINS:] *= mask[0, :, :, -EXTENSION_BINS:].mean(axis=2, keepdims=True)


def _repeated(magnitude: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fill silent frames at both ends by repeating the frames between them: ``[2, FRAMES, BINS]``.

    Silence around a song makes its separation worse: six seconds in the middle of a segment lost 1 dB of the vocals'
    SDR. Repetition was better than reflection, with which vocals appeared where there were none.
    """
    audible = np.flatnonzero(magnitude.any(axis=(0, 2)))
    if len(audible) in (0, FRAMES):
        return magnitude
    first, last = audible[0], audible[-1] + 1
    return magnitude.take(np.pad(np.arange(first, last), (first, FRAMES - last), mode="wrap"), axis=1)


def _read(path: Path) -> dict[str, NDArray[np.float32]]:
    state = read_numpy_pickle(path)
    if not all(name in state for name in LANDMARKS):
        raise ModelError(f"{path.name} is not a checkpoint of Spleeter's network: choose another file.")
    return state
