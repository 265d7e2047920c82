"""Reverberation by convolution with a synthetic room."""

import math
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from stemsplitter.effects.effect import Samples
from stemsplitter.errors import RequestError

SHORTEST_DECAY_S, LONGEST_DECAY_S = 0.1, 20.0
_BLOCK_S = 3.0  # of the convolution: large FFTs cost less per sample
_PRE_DELAY_S = 0.02
_ONSET_S = 0.01
# Lower edge of a band in hertz, and its decay time as a share of that of the room: air and walls absorb the highs.
_BANDS = ((60, 1.05), (400, 1.0), (2_500, 0.7), (6_000, 0.35), (16_000, 0.0))
_SEED = 1


class Reverb:
    """Adds the reverberation of a synthetic room to a stream: ``n + tail`` samples.

    The room's impulse response is noise, independent in each channel, that decays exponentially, faster at high
    frequencies (Moorer, "About this reverberation business", Computer Music Journal 3(2), 1979), after a delay of 20
    ms. It has unit energy, so that the reverberation of noise is as loud as the noise. It is applied with an FFT for
    each block of 3 s (overlap-add).

    Args:
        sample_rate: in hertz.
        channels: of the blocks.
        decay: seconds until the reverberation has fallen by 60 dB, 0.1 to 20.
        wet: share of the reverberation, 0 to 1; the rest is the stream itself.

    Attributes:
        tail: samples that the result is longer than the stream.

    Raises:
        RequestError: ``decay`` or ``wet`` is out of range.
    """

    def __init__(self, sample_rate: int, channels: int, decay: float = 2.6, wet: float = 0.25) -> None:
        if not SHORTEST_DECAY_S <= decay <= LONGEST_DECAY_S:
            raise RequestError(f"A decay of {decay:g} s is not possible: choose from 0.1 to 20 s.")
        if not 0 <= wet <= 1:
            raise RequestError(f"A wet share of {wet:g} is not possible: choose from 0 to 1.")
        response = wet * impulse_response(sample_rate, channels, decay)
        response[:, 0] += 1 - wet
        self.tail = response.shape[1] - 1
        self._block = int(_BLOCK_S * sample_rate)
        self._size = 1 << (self._block + self.tail - 1).bit_length()
        self._block = self._size - self.tail  # all that fits
        self._spectrum = np.fft.rfft(response.astype(np.float32), self._size)
        self._input: Samples = np.zeros((channels, 0), np.float32)
        self._rest: Samples = np.zeros((channels, self.tail), np.float32)

    def process(self, block: Samples) -> Samples:
        """Take float32 ``[C, n]`` and return the samples that are finished, ``[C, m]``."""
        self._input = np.concatenate([self._input, block], axis=1)
        pieces = [self._input[:, :0]]
        while self._input.shape[1] >= self._block:
            pieces.append(self._convolved(self._block))
        return np.concatenate(pieces, axis=1)

    def flush(self) -> Samples:
        """End the stream and return its remaining samples and the tail."""
        last = self._convolved(self._input.shape[1])
        return np.concatenate([last, self._rest], axis=1)

    def _convolved(self, count: int) -> Samples:
        """Return the next ``count`` samples, and keep what they add to later ones."""
        block, self._input = self._input[:, :count], self._input[:, count:]
        convolved = np.fft.irfft(np.fft.rfft(block, self._size) * self._spectrum, self._size)
        result: Samples = convolved[:, : count + self.tail].astype(np.float32)
        result[:, : self.tail] += self._rest
        done, self._rest = result[:, :count], result[:, count:].copy()
        return done


def impulse_response(sample_rate: int, channels: int, decay: float) -> npt.NDArray[np.float64]:
    """Return the response ``[C, n]`` of a room with that decay time in seconds; each channel has an energy of 1."""
    count = max(round(sample_rate * decay), 2)
    time = np.arange(count) / sample_rate
    frequency: npt.NDArray[np.float64] = np.fft.rfftfreq(count, 1 / sample_rate).astype(np.float64)
    noise = np.fft.rfft(np.random.default_rng(_SEED).standard_normal((channels, count)))
    response = np.zeros((channels, count))
    for (low, share), (high, _) in pairwise(_BANDS):
        band = _above(frequency, low) * (1 - _above(frequency, high))
        response += np.fft.irfft(noise * band, count) * np.exp2(-math.log2(1000) * time / (decay * share))
    response *= np.minimum(time / _ONSET_S, 1)
    response /= np.sqrt(np.square(response).sum(axis=1, keepdims=True))
    return np.pad(response, ((0, 0), (round(_PRE_DELAY_S * sample_rate), 0)))


def _above(frequency: npt.NDArray[np.float64], edge: float) -> npt.NDArray[np.float64]:
    """Return the gain of a high-pass filter at frequencies in hertz: a half at its edge, 48 dB per octave."""
    ratio = (frequency / edge) ** 8
    return np.asarray(ratio / (1 + ratio))
