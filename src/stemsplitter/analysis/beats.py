"""Times of the beats."""

import numpy as np
import numpy.typing as npt

from stemsplitter.analysis.onsets import Curves

_TIGHTNESS = 100.0  # weight of a steady period against strong onsets


def find_beats(curves: Curves, frames_per_second: float, bpm: float) -> npt.NDArray[np.float64]:
    """Return the times of the beats in seconds.

    They are the sequence that maximizes the onset strength at the beats and the steadiness of their period, found by
    dynamic programming (Ellis, "Beat tracking by dynamic programming", JNMR 36(1), 2007).
    """
    period = 60 / bpm * frames_per_second
    strength = _smoothed(curves, period)
    count = len(strength)
    nearest, farthest = max(round(period / 2), 1), round(2 * period)
    if count <= farthest:
        return np.zeros(0)
    steps = np.arange(farthest, nearest - 1, -1)  # from the earliest predecessor to the latest
    costs = -_TIGHTNESS * np.log(steps / period) ** 2
    score = np.zeros(count + farthest)  # padded before the first frame
    before = np.full(count, -1)
    for frame in range(count):
        candidates = score[frame : frame + len(steps)] + costs
        best = int(candidates.argmax())
        previous = frame - int(steps[best])
        score[frame + farthest] = strength[frame] + max(candidates[best], 0.0)
        before[frame] = previous if candidates[best] > 0 else -1
    tail = score[-int(period) :]
    frame = count - len(tail) + int(tail.argmax())
    beats = []
    while frame >= 0:
        beats.append(frame)
        frame = int(before[frame])
    return np.asarray(beats[::-1], np.float64) / frames_per_second


def _smoothed(curves: Curves, period: float) -> npt.NDArray[np.float64]:
    """Return one curve ``[T]`` of unit spread, smoothed over a 32nd of a beat."""
    curve = (curves / (curves.std(axis=0) + 1e-9)).sum(axis=1).astype(np.float64)
    width = period / 32
    reach = max(int(3 * width), 1)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    smooth = np.convolve(curve, kernel / kernel.sum(), "same")[: len(curve)]
    return np.asarray(smooth / (smooth.std() + 1e-9))
