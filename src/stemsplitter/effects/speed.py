"""Change of speed and pitch together, as by a tape or a record player."""

from stemsplitter.audio.resample import Resampler
from stemsplitter.effects.effect import Samples
from stemsplitter.errors import RequestError

SLOWEST, FASTEST = 0.25, 4.0


class Speed:
    """Plays a stream ``rate`` times as fast by resampling: ``round(n / rate)`` samples.

    The pitch changes by ``12 * log2(rate)`` semitones. Frequencies that would exceed half of the sample rate are
    removed (libsoxr at very high quality).

    Raises:
        RequestError: ``rate`` is not 0.25 to 4.
    """

    def __init__(self, sample_rate: int, channels: int, rate: float) -> None:
        self._rate = checked_rate(rate)
        self._taken = 0
        self._resampler = Resampler(sample_rate * self._rate, sample_rate, channels)

    def process(self, block: Samples) -> Samples:
        """Take float32 ``[C, n]`` and return the samples that are finished, ``[C, m]``."""
        self._taken += block.shape[1]
        return self._resampler.push(block)

    def flush(self) -> Samples:
        """End the stream and return its remaining samples."""
        return self._resampler.flush(round(self._taken / self._rate))


def checked_rate(rate: float) -> float:
    """Return ``rate``. Raises RequestError if it is not 0.25 to 4."""
    if not SLOWEST <= rate <= FASTEST:
        raise RequestError(f"A rate of {rate:g} is not possible: choose one from {SLOWEST:g} to {FASTEST:g}.")
    return rate
