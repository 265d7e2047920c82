"""A model with a known result, and a signal for it."""

import threading
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from stemsplitter.separation.segments import triangle

Waveform = NDArray[np.float32]


class ToyModel:
    """Multiplies the mixture by a share for each stem; the shares sum to less than 1, as with a real network."""

    stems: tuple[str, ...] = ("drums", "bass", "other", "vocals")
    shares = (0.4, 0.2, 0.1, 0.2)
    sample_rate = 44_100
    segment = 4_410
    hop = 3_300
    reflect = False
    window = triangle(segment)
    device = "cpu (toy)"
    notes: tuple[str, ...] = ()

    def __init__(self, concurrency: int = 2) -> None:
        self.concurrency = concurrency
        self.calls = 0
        self.fail_at = -1
        self._lock = threading.Lock()

    def separate(self, mixture: Waveform) -> Waveform:
        with self._lock:
            self.calls += 1
            if self.calls == self.fail_at:
                raise RuntimeError("the network broke")
        return np.stack([np.float32(share) * mixture for share in self.shares])


@pytest.fixture
def toy_model() -> ToyModel:
    return ToyModel()


@pytest.fixture
def noise() -> Callable[..., Waveform]:
    """Call it for low-pass noise with a peak of 0.5, which every codec preserves."""

    def make(samples: int, channels: int = 2) -> Waveform:
        white = np.random.default_rng(samples).standard_normal((channels, samples + 32))
        smooth = np.stack([np.convolve(channel, np.hanning(33), "valid") for channel in white])
        return (smooth / np.abs(smooth).max() / 2).astype(np.float32)

    return make
