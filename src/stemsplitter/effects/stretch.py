"""Change of tempo or pitch, each without the other."""

import math
from functools import partial

import numpy as np

from stemsplitter.audio.resample import Resampler
from stemsplitter.effects.effect import Samples
from stemsplitter.effects.formants import moved_envelope
from stemsplitter.effects.speed import checked_rate
from stemsplitter.effects.vocoder import Vocoder
from stemsplitter.errors import RequestError

MOST_SEMITONES = 12.0
# Seconds in a frame: 5120 and 512 samples at 44.1 kHz. The long one separates the partials of a chord down to 220 Hz,
# the short one confines a hit of a drum to 12 ms.
_LONG_S, _SHORT_S = 0.1161, 0.0116


class Stretch:
    """Plays a stream ``rate`` times as fast at its own pitch: ``round(n / rate)`` samples.

    Args:
        sample_rate: in hertz.
        channels: of the blocks.
        rate: 0.25 to 4; 2 halves the length.
        drums: use short frames, for a stream of drums alone.

    Raises:
        RequestError: ``rate`` is out of range.
    """

    def __init__(self, sample_rate: int, channels: int, rate: float, *, drums: bool = False) -> None:
        self._vocoder = Vocoder(channels, checked_rate(rate), _frame_size(sample_rate, drums))

    def process(self, block: Samples) -> Samples:
        """Take float32 ``[C, n]`` and return the samples that are finished, ``[C, m]``."""
        return self._vocoder.process(block)

    def flush(self) -> Samples:
        """End the stream and return its remaining samples."""
        return self._vocoder.flush()


class PitchShift:
    """Changes the pitch of a stream and keeps its length: it is stretched, then resampled.

    Args:
        sample_rate: in hertz.
        channels: of the blocks.
        semitones: -12 to 12, of any fraction; a cent is 0.01.
        formants: keep the spectral envelope, so that a voice keeps its timbre.
        drums: use short frames, for a stream of drums alone.

    Raises:
        RequestError: ``semitones`` is out of range.
    """

    def __init__(
        self,
        sample_rate: int,
        channels: int,
        semitones: float,
        *,
        formants: bool = False,
        drums: bool = False,
    ) -> None:
        if not abs(semitones) <= MOST_SEMITONES:
            raise RequestError(f"A change of {semitones:g} semitones is not possible: choose from -12 to 12.")
        ratio = math.exp2(semitones / 12)
        size = _frame_size(sample_rate, drums)
        shape = partial(moved_envelope, ratio=ratio, sample_rate=sample_rate) if formants else None
        self._taken = 0
        self._vocoder = Vocoder(channels, 1 / ratio, size, shape)
        self._resampler = Resampler(sample_rate * ratio, sample_rate, channels)

    def process(self, block: Samples) -> Samples:
        """Take float32 ``[C, n]`` and return the samples that are finished, ``[C, m]``."""
        self._taken += block.shape[1]
        return self._resampler.push(self._vocoder.process(block))

    def flush(self) -> Samples:
        """End the stream and return its remaining samples."""
        last = self._resampler.push(self._vocoder.flush())
        return np.concatenate([last, self._resampler.flush(self._taken)], axis=1)


def _frame_size(sample_rate: int, drums: bool) -> int:
    """Return the samples in a frame, a product of small primes, for which FFTs are fast."""
    wanted = (_SHORT_S if drums else _LONG_S) * sample_rate
    sizes = (factor << power for factor in (4, 5, 6, 7) for power in range(2, 18))
    return min(sizes, key=lambda size: abs(size - wanted))
