"""Sample-rate conversion of a stream with an exact length and no delay."""

import numpy as np
import numpy.typing as npt
import soxr

Samples = npt.NDArray[np.float32]


class Resampler:
    """libsoxr at very high quality (a linear-phase filter), with its delay compensated.

    ``push`` accepts and returns float32 ``[channels, n]`` blocks (the result may be empty); ``flush`` returns the
    rest. The output has exactly ``total`` samples if given, else ``round(n * to_rate / from_rate)``; sample k of
    the output is at the time k / to_rate of the input.

    Up to 0.7 of the lower Nyquist frequency, a sine has an error under -145 dB; at 0.82 of it, the response is
    -0.0005 dB.
    """

    def __init__(self, from_rate: float, to_rate: float, channels: int) -> None:
        self.from_rate = from_rate
        self.to_rate = to_rate
        self.channels = channels
        self._taken = 0
        self._given = 0
        self._stream = (
            None
            if from_rate == to_rate
            else soxr.ResampleStream(from_rate, to_rate, channels, dtype="float32", quality="VHQ")
        )

    def push(self, block: Samples) -> Samples:
        """Convert a block; the last few milliseconds are delayed until the next call."""
        self._taken += block.shape[1]
        if self._stream is None:
            self._given += block.shape[1]
            return block
        out = self._stream.resample_chunk(np.ascontiguousarray(block.T))
        self._given += len(out)
        return np.ascontiguousarray(out.T)

    def flush(self, total: int | None = None) -> Samples:
        """End the stream and return its rest. ``total`` is the length of the whole output in samples."""
        if total is None:
            total = round(self._taken * self.to_rate / self.from_rate)
        wanted = total - self._given
        if wanted < 0:
            raise ValueError(f"the total of {total} samples is less than the {self._given} already returned")
        rest = np.zeros((self.channels, 0), np.float32)
        if self._stream is not None:
            tail = self._stream.resample_chunk(np.zeros((0, self.channels), np.float32), last=True)
            rest = np.ascontiguousarray(tail.T[:, :wanted])
        missing = wanted - rest.shape[1]
        self._given = total
        return np.pad(rest, ((0, 0), (0, missing))) if missing else rest
