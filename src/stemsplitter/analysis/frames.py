"""Overlapping frames of a stream."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

Samples = npt.NDArray[np.float32]

_BATCH = 64


class Framer:
    """Cuts a mono stream into frames of ``size`` samples, one every ``hop``; the first is centered on the first sample.

    Only whole batches are returned until the end, so that the size of the blocks does not affect the result.
    """

    def __init__(self, size: int, hop: int) -> None:
        self._size, self._hop = size, hop
        self._samples: Samples = np.zeros(size // 2, np.float32)

    def push(self, block: Samples) -> Iterator[Samples]:
        """Take ``[n]`` and yield batches of frames ``[B, size]``."""
        self._samples = np.concatenate([self._samples, block])
        needed = (_BATCH - 1) * self._hop + self._size
        while len(self._samples) >= needed:
            yield sliding_window_view(self._samples, self._size)[:: self._hop][:_BATCH]
            self._samples = self._samples[_BATCH * self._hop :]

    def flush(self) -> Iterator[Samples]:
        """Yield the remaining frames; the last is padded with zeros."""
        rest = len(self._samples) - self._size // 2  # samples at which a frame can be centered
        if rest > 0:
            padded = np.pad(self._samples, (0, self._size))
            count = -(-rest // self._hop)
            yield sliding_window_view(padded, self._size)[:: self._hop][:count]


def spectra(frames: Samples, window: Samples) -> npt.NDArray[np.complex64]:
    """Return the spectra ``[B, size / 2 + 1]`` of frames.

    They are divided by the size and multiplied by it again: without the division NumPy computes in double precision.
    """
    scaled = window * np.float32(frames.shape[1])
    return np.fft.rfft(frames * scaled, norm="forward").astype(np.complex64, copy=False)
