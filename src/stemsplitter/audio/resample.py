"""Sample-rate conversion of a stream, exact in length and without delay."""

import numpy as np
import numpy.typing as npt
import soxr

Samples = npt.NDArray[np.float32]


class Resampler:
    """libsoxr at very high quality (a linear-phase filter), with its delay compensated.

    ``push`` takes and gives float32 ``[channels, n]`` blocks (what comes out may be empty); ``flush`` gives
    the rest, so that the blocks together have exactly ``total`` samples where that is told, else
    ``round(n * to_rate / from_rate)``, and sample k of the output is at the time k / to_rate of the input.

    Up to 0.7 of the lower Nyquist frequency a sine has an error under -145 dB; the response is down
    by 0.0005 dB at 0.82 of it.
    """

    def __init__(self, from_rate: int, to_rate: int, channels: int) -> None:
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
        """Convert a block; the last few milliseconds are kept until more comes."""
        self._taken += block.shape[1]
        if self._stream is None:
            self._given += block.shape[1]
            return block
        out = self._stream.resample_chunk(np.ascontiguousarray(block.T))
        self._given += len(out)
        return np.ascontiguousarray(out.T)

    def flush(self, total: int | None = None) -> Samples:
        """End the stream. ``total`` is the length in samples that the whole output shall have."""
        if total is None:
            total = round(self._taken * self.to_rate / self.from_rate)
        wanted = total - self._given
        if wanted < 0:
            raise ValueError(f"{self._given} samples were given already, {total} are wanted in all")
        rest = np.zeros((self.channels, 0), np.float32)
        if self._stream is not None:
            tail = self._stream.resample_chunk(np.zeros((0, self.channels), np.float32), last=True)
            rest = np.ascontiguousarray(tail.T[:, :wanted])
        missing = wanted - rest.shape[1]
        self._given = total
        return np.pad(rest, ((0, 0), (0, missing))) if missing else rest
