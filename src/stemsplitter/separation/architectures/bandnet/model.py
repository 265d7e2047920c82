"""BandNet on waveforms: six stems, with or without the vocals of another model."""

import copy
from functools import reduce
from operator import iadd
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from stemsplitter.checkpoints.readers import read_safetensors
from stemsplitter.errors import ModelError
from stemsplitter.files.verified import hash_file
from stemsplitter.separation.architectures.bandnet import bands
from stemsplitter.separation.architectures.bandnet.network import BANDS, FEATURES, BandNet
from stemsplitter.separation.architectures.spectral import FRAMES, N_FFT, SpectralModel, VocalsMask
from stemsplitter.separation.layouts import SIX_STEMS, absent_stems
from stemsplitter.separation.runtimes import Runtime
from stemsplitter.separation.stft import Spectrum

ALONE = (
    "The vocals are found by the built-in network alone, which is worse at it than Spleeter: "
    "run `stemsplitter models pull spleeter_2s` once."
)
POWER_SCALE = np.float32(4 / N_FFT) ** 2  # a sine at full scale has a power of 1
HALF = np.float32(np.sqrt(0.5))
# the band of each bin; bins above the last band, at 11 kHz, have its mask
BAND_OF_BIN = np.minimum(np.searchsorted(bands.EDGES, np.arange(N_FFT // 2 + 1), side="right") - 1, BANDS - 1)


class BandNetModel(SpectralModel):
    """Six stems as sums of masked instrumental and masked vocals, both split into middle and side.

    Another model's mask extracts the vocals first. Without it the whole mixture counts as instrumental, and the network
    separates the vocals from it. The masks of the stems sum to 1, so the stems sum to the mixture.

    Raises:
        ModelError: the file is not a checkpoint of BandNet.
    """

    stems: tuple[str, ...] = SIX_STEMS

    def __init__(self, runtime: Runtime, weights: Path, cache: Path, vocals: VocalsMask | None) -> None:
        super().__init__(runtime)
        self.notes: tuple[str, ...] = () if vocals else (ALONE,)
        self._vocals = vocals
        self._absent: list[int] = []
        self._network = runtime.compile(
            lambda: BandNet(_read(weights), FRAMES),
            {"features": (1, FEATURES, FRAMES, BANDS)},
            # another version of the program brings other weights in a file of the same name
            cache / f"bandnet-{hash_file(weights)[:12]}",
        )

    def for_instruments(self, instruments: tuple[str, ...]) -> Self:
        """Return a model that divides the shares of absent instruments among the others."""
        other = copy.copy(self)
        other._absent = absent_stems(self.stems, instruments)
        return other

    def separate(self, mixture: NDArray[np.float32]) -> NDArray[np.float32]:
        parts = self._parts(self._spectrum(mixture))
        (logits,) = self._network(_features(*parts)[None])
        masks = self._masks(logits.reshape(2, len(self.stems), 2, FRAMES, BANDS))
        stems = np.zeros((len(self.stems), *mixture.shape), np.float32)
        *masked, last = (number for number in range(len(stems)) if number not in self._absent)
        stems[last] = mixture
        for number in masked:
            stem = stems[number]
            middle, side = self._masked(parts, masks[:, number])
            np.add(middle, side, out=stem[0])
            np.subtract(middle, side, out=stem[1])
            stem *= HALF
            stems[last] -= stem
        return stems

    def _parts(self, spectrum: Spectrum) -> list[Spectrum]:
        """Split a spectrum into instrumental and, with another model's mask, vocals: middle and side of each."""
        if self._vocals is None:
            return [_middle_and_side(spectrum)]
        vocals = spectrum.copy()
        self._vocals.apply(vocals)
        spectrum -= vocals
        return [_middle_and_side(spectrum), _middle_and_side(vocals)]

    def _masked(self, parts: list[Spectrum], masks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Sum the parts times their masks ``[2, 2, FRAMES, BANDS]``: middle and side of a stem, ``[2, segment]``."""

        def rows(channel: int, block: slice) -> Spectrum:
            masked = (
                part[channel, block] * mask[channel, block].take(BAND_OF_BIN, axis=-1)
                for part, mask in zip(parts, masks, strict=False)
            )
            return reduce(iadd, masked)

        return self._unpadded(self._stft.inverse_of(rows, *parts[0].shape[:2]))

    def _masks(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn logits into masks ``[2, 6, 2, FRAMES, BANDS]``, which sum to 1 over the present stems (softmax)."""
        logits[:, self._absent] = -np.inf
        masks: NDArray[np.float32] = np.exp(logits - logits.max(axis=1, keepdims=True))
        masks /= masks.sum(axis=1, keepdims=True)
        return masks


def _middle_and_side(spectrum: Spectrum) -> Spectrum:
    """Replace left and right by middle and side, in place."""
    left, right = spectrum
    difference = left - right
    left += right
    right[...] = difference
    spectrum *= HALF
    return spectrum


def _features(instrumental: Spectrum, vocals: Spectrum | None = None) -> NDArray[np.float32]:
    low = instrumental[..., : bands.BINS]
    power = _power(low)
    cross = low[0].real * low[1].real + low[0].imag * low[1].imag
    vocals_power = np.zeros_like(power) if vocals is None else _power(vocals[..., : bands.BINS])
    return bands.features(power * POWER_SCALE, cross * POWER_SCALE, vocals_power * POWER_SCALE)


def _power(spectrum: Spectrum) -> NDArray[np.float32]:
    power: NDArray[np.float32] = spectrum.real**2 + spectrum.imag**2
    return power


def _read(path: Path) -> dict[str, NDArray[np.float32]]:
    state = read_safetensors(path).state
    if "leave.weight" not in state or "layers.0.q.weight" not in state:
        raise ModelError(f"{path.name} is not a checkpoint of BandNet: reinstall stemsplitter.")
    return state
