"""Peak limiting of a stream."""

import numpy as np
import numpy.typing as npt

from stemsplitter.effects.effect import Samples

_STEP = 64  # samples with one gain, between which it is interpolated
_LOOK_AHEAD = 8  # steps
_ATTACK_DB, _RELEASE_DB = 1.5, 0.02  # change of the gain per step


class Limiter:
    """Lowers the gain where a stream exceeds ``ceiling``, which its result does not; elsewhere samples are unchanged.

    The gain of all channels falls within 12 ms before a peak, and recovers at about 14 dB/s at 44.1 kHz.
    """

    def __init__(self, channels: int, ceiling: float = 1.0) -> None:
        self._ceiling = ceiling
        self._input: Samples = np.zeros(
            (channels, 0), np.float32
        )  # begins at the step after the last one returned
        self._level = 0.0  # gain of the last step that was returned, in dB
        self._edge = 0.0

    def process(self, block: Samples) -> Samples:
        """Take float32 ``[C, n]`` and return the samples that are finished, ``[C, m]``."""
        self._input = np.concatenate([self._input, block], axis=1)
        steps = self._input.shape[1] // _STEP - _LOOK_AHEAD
        return self._limited(steps) if steps > 0 else self._input[:, :0]

    def flush(self) -> Samples:
        """End the stream and return its remaining samples."""
        rest = self._input.shape[1]
        if not rest:
            return self._input
        padding = -rest % _STEP + _LOOK_AHEAD * _STEP
        self._input = np.pad(self._input, ((0, 0), (0, padding)))
        return self._limited(self._input.shape[1] // _STEP - _LOOK_AHEAD)[:, :rest]

    def _limited(self, steps: int) -> Samples:
        """Return the first ``steps`` steps; those after them are known up to the look-ahead."""
        known = (steps + _LOOK_AHEAD) * _STEP
        peaks = np.abs(self._input[:, :known]).max(axis=0).reshape(-1, _STEP).max(axis=1)
        # a rounding error of the product must not exceed the ceiling
        needed = 20 * np.log10(
            self._ceiling * (1 - 1e-6) / np.maximum(peaks.astype(np.float64), self._ceiling)
        )
        needed[peaks <= self._ceiling] = 0
        ahead = np.min(
            [needed[delay : delay + steps + 1] + delay * _ATTACK_DB for delay in range(_LOOK_AHEAD)], axis=0
        )
        ramp = np.arange(1, steps + 1) * _RELEASE_DB
        # the gain of a step is the least of those before it, recovered since, and of its own
        gains = np.minimum(np.minimum.accumulate(np.minimum(ahead[:-1], 0) - ramp), self._level) + ramp
        gains = np.minimum(gains, 0)
        following = min(float(ahead[-1]), 0.0)
        return self._scaled(gains, following)

    def _scaled(self, gains: npt.NDArray[np.float64], following: float) -> Samples:
        """Multiply the steps by their gains, interpolated between the lesser gains at their edges."""
        steps = len(gains)
        self._level = float(gains[-1])
        after = min(following, self._level + _RELEASE_DB)
        edges = 10 ** (
            np.concatenate([[min(self._edge, gains[0])], np.minimum(gains, np.append(gains[1:], after))]) / 20
        )
        self._edge = min(float(gains[-1]), after)
        done, self._input = self._input[:, : steps * _STEP], self._input[:, steps * _STEP :]
        if (edges == 1).all():
            return done
        fraction = np.arange(_STEP) / _STEP
        curve = edges[:-1, None] * (1 - fraction) + edges[1:, None] * fraction
        return done * curve.reshape(-1).astype(np.float32)
