"""BandNet on waveforms: six stems, of a mixture alone or of a mixture and stems that other models have found."""

import copy
from collections.abc import Mapping
from functools import reduce
from operator import iadd
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from stemsplitter.checkpoints.readers import read_safetensors
from stemsplitter.errors import ModelError
from stemsplitter.files.verified import hash_file
from stemsplitter.separation.architectures.bandnet import bands
from stemsplitter.separation.architectures.bandnet.network import BANDS, FEATURES, SHARED, SIGNALS, BandNet
from stemsplitter.separation.architectures.spectral import FRAMES, N_FFT, SpectralModel, VocalsMask
from stemsplitter.separation.layouts import SIX_STEMS, absent_stems
from stemsplitter.separation.runtimes import Runtime
from stemsplitter.separation.stft import Spectrum, Waveform, blocks

ALONE = (
    "The vocals are found by the built-in network alone, which is worse at it than Spleeter: "
    "run `stemsplitter models pull spleeter_2s` once."
)
GIVEN: Final = ("vocals", "drums", "bass")
"""Stems that other models may have found."""
# A sine at full scale has a power of 1. Middle and side are those of `_middle_and_side`, without its factor of √½.
POWER_SCALE = np.float32(0.5) * np.float32(4 / N_FFT) ** 2
# real and imaginary parts of a spectrum in each band; bins above the last band, at 11 kHz, have its mask
PARTS = 2 * np.diff(np.append(bands.EDGES, N_FFT // 2 + 1))

Masks = NDArray[np.float32]


class BandNetModel(SpectralModel):
    """Six stems as sums of masked signals: stems that other models have found, and what they leave of the mixture.

    `separate` uses the vocals that another model's mask extracts, and may assign parts of them to any stem. Without a
    mask the whole mixture is what is left. `separate_rest` keeps stems of other models as they are. Middle and side
    have masks of their own. The masks of the stems sum to 1, so the stems sum to the mixture.

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

    def separate(self, mixture: Waveform) -> Waveform:
        spectrum = self._spectrum(mixture)
        given: dict[str, Spectrum] = {}
        if self._vocals is not None:
            given["vocals"] = spectrum.copy()
            self._vocals.apply(given["vocals"])
        signals, logits = self._estimate(spectrum, given)
        masks = {signal: self._masks(signal, logits[signal]) for signal in signals}
        stems = np.zeros((len(self.stems), *mixture.shape), np.float32)
        *masked, last = (number for number in range(len(stems)) if number not in self._absent)
        stems[last] = mixture
        for number in masked:
            parts = [(signals[signal], masks[signal][number]) for signal in signals]
            stems[last] -= self._masked(parts, stems[number])
        return stems

    def separate_rest(self, mixture: Waveform, given: Mapping[str, Waveform]) -> dict[str, Waveform]:
        """Separate what given stems leave of a mixture; all waveforms are ``[2, segment]``.

        Behind a model that is better at them, stems are better kept than divided anew. Absent instruments are silent;
        if all others are given or absent, the rest is in ``other``.

        Args:
            mixture: the mixture.
            given: stems of `GIVEN` that another model has found, at least one.

        Returns:
            The other stems. They and the given ones sum to the mixture.
        """
        spectra = {name: self._spectrum(stem) for name, stem in given.items()}
        signals, logits = self._estimate(self._spectrum(mixture), spectra)
        stems = {name: np.zeros_like(mixture) for name in self.stems if name not in given}
        numbers = [self.stems.index(name) for name in stems]
        *masked, last = [number for number in numbers if number not in self._absent] or [numbers[-1]]
        masks = softmax(logits[0], [*masked, last])
        rest = stems[self.stems[last]]
        rest[...] = mixture - sum(given.values())
        for number in masked:
            rest -= self._masked([(signals[0], masks[number])], stems[self.stems[number]])
        return stems

    def _estimate(
        self, mixture: Spectrum, given: dict[str, Spectrum]
    ) -> tuple[dict[int, Spectrum], NDArray[np.float32]]:
        """Run the network on the spectra of the mixture and of given stems, left and right, which are changed.

        Returns middle and side of the signals, of which there is the rest, 0, and each given stem, and logits
        ``[SHARED, stems, 2, FRAMES, BANDS]``.
        """
        stems = {1 + GIVEN.index(name): stem for name, stem in given.items()}
        features = np.empty((1, FEATURES, FRAMES, BANDS), np.float32)
        for block in blocks(FRAMES):  # a block stays in the cache
            parts = {number: stem[:, block] for number, stem in stems.items()}
            features[0, :, block] = _features(mixture[:, block], parts)
        logits, _ = self._network(features)
        return {0: mixture} | stems, logits.reshape(SHARED, len(self.stems), 2, FRAMES, BANDS)

    def _masks(self, signal: int, logits: NDArray[np.float32]) -> Masks:
        """Turn logits of a signal into masks, both ``[stems, 2, FRAMES, BANDS]``; absent stems have none."""
        return softmax(logits, [number for number in range(len(self.stems)) if number not in self._absent])

    def _masked(self, parts: list[tuple[Spectrum, Masks]], out: Waveform) -> Waveform:
        """Sum signals times their masks ``[2, FRAMES, BANDS]``, into ``out`` ``[2, segment]``."""
        halved = [(signal, mask * np.float32(0.5)) for signal, mask in parts]  # see `_middle_and_side`

        def rows(channel: int, block: slice) -> Spectrum:
            products = (_product(signal[channel, block], mask[channel, block]) for signal, mask in halved)
            return reduce(iadd, products).view(np.complex64)

        middle, side = self._unpadded(self._stft.inverse_of(rows, 2, FRAMES))
        np.add(middle, side, out=out[0])
        np.subtract(middle, side, out=out[1])
        return out


def softmax(logits: NDArray[np.float32], stems: list[int]) -> Masks:
    """Turn logits ``[S, 2, FRAMES, BANDS]`` into masks, in place: those of ``stems`` sum to 1, the others are 0."""
    logits[[number for number in range(len(logits)) if number not in stems]] = -np.inf
    for block in blocks(FRAMES):  # a block stays in the cache
        part = logits[:, :, block]
        part -= part.max(axis=0)
        np.exp(part, out=part)
        part /= part.sum(axis=0)
    return logits


def _features(mixture: Spectrum, given: dict[int, Spectrum]) -> NDArray[np.float32]:
    """Compute the network's input ``[FEATURES, n, BANDS]`` of n frames of the mixture and of given stems.

    Left and right of all spectra become middle and side, in place, and the mixture the rest.
    """
    for spectrum in (mixture, *given.values()):
        _middle_and_side(spectrum)
    middle, side = low = mixture[..., : bands.BINS]
    power, cross = _power(low), middle.real * side.real + middle.imag * side.imag
    for stem in given.values():
        mixture -= stem
    signals = {0: mixture} | given
    powers = [
        _power(signals[number][..., : bands.BINS]) if number in signals else None for number in range(SIGNALS)
    ]
    return bands.features(power, cross * POWER_SCALE, powers)


def _middle_and_side(spectrum: Spectrum) -> Spectrum:
    """Replace left and right by their sum and difference, in place: √2 times middle and side."""
    left, right = spectrum
    difference = left - right
    left += right
    right[...] = difference
    return spectrum


def _power(spectrum: Spectrum) -> NDArray[np.float32]:
    power: NDArray[np.float32] = spectrum.real**2 + spectrum.imag**2
    power *= POWER_SCALE
    return power


def _product(spectrum: Spectrum, mask: NDArray[np.float32]) -> NDArray[np.float32]:
    """Multiply a spectrum ``[n, N_FFT / 2 + 1]`` by a mask ``[n, BANDS]``; return real and imaginary parts in turn."""
    product = np.repeat(mask, PARTS, axis=-1)
    product *= spectrum.view(np.float32)  # a complex product with a real mask takes twice the time
    return product


def _read(path: Path) -> dict[str, NDArray[np.float32]]:
    state = read_safetensors(path).state
    if "leave.weight" not in state or "layers.0.q.weight" not in state:
        raise ModelError(f"{path.name} is not a checkpoint of BandNet: reinstall stemsplitter.")
    return state
