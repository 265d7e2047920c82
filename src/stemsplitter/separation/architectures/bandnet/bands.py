"""The frequency bands of BandNet, and its input features in them.

There is one band per bin of the transform up to 1 kHz and 67 bands of equal width on a logarithmic scale up to 11 kHz:
masks that are constant in a band cost 0.1 to 0.4 dB of SDR compared with masks per bin. Spectra are those of a periodic
Hann window of 92.9 ms every 23.2 ms (4,096 and 1,024 samples at 44.1 kHz), scaled such that a sine at full scale has a
magnitude of 1; bins are 10.8 Hz apart.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

BINS: Final = 1025
BANDS: Final = 160
SINGLE: Final = 93  # bands of one bin
FLOOR: Final = 1e-8  # of powers before the logarithm: -80 dB
LOG_10: Final = np.float32(np.log(10))
# first bin of each band
EDGES: Final = np.concatenate(
    (np.arange(SINGLE), np.rint(np.geomspace(SINGLE, BINS, BANDS - SINGLE + 1)[:-1]).astype(int))
)
WIDTHS: Final = np.diff(np.append(EDGES, BINS)).astype(np.float32)

Maps = NDArray[np.float32]


def summed(maps: Maps) -> Maps:
    """Sum ``[…, BINS]`` over each band: ``[…, BANDS]``."""
    out = np.empty((*maps.shape[:-1], BANDS), np.float32)
    out[..., :SINGLE] = maps[..., :SINGLE]
    np.add.reduceat(maps[..., SINGLE:], EDGES[SINGLE:] - SINGLE, axis=-1, out=out[..., SINGLE:])
    return out


def features(mixture: Maps, cross: Maps, signals: Sequence[Maps | None]) -> Maps:
    """Compute the input of the network, ``[16, T, BANDS]``.

    In this order: log power of the rest, of middle and side; flatness of the mixture, of both; its panning; log powers
    of the given vocals, drums and bass, of both; log power of the mixture, of both; for vocals, drums and bass 1 where
    they are given, 0 where not.

    Args:
        mixture: powers of its middle and side, ``[2, T, BINS]``.
        cross: real part of the product of its middle and the conjugate of its side, ``[T, BINS]``.
        signals: powers of the rest, which is the mixture minus what is given, and of the given vocals, drums and bass,
            each as those of the mixture; None if not given.
    """
    power = summed(mixture) / WIDTHS
    level = np.log10(power + FLOOR)
    # 0 where a band is as flat as noise, far below 0 where one partial dominates
    flatness = summed(np.log(mixture + FLOOR)) / (WIDTHS * LOG_10) - level  # NumPy vectorizes log, not log10
    panning = 2 * summed(cross) / WIDTHS / (power.sum(axis=0) + FLOOR)
    rest, *given = (
        np.full_like(level, np.log10(FLOOR)) if each is None else np.log10(summed(each) / WIDTHS + FLOOR)
        for each in signals
    )
    flags = (np.full_like(panning, each is not None) for each in signals[1:])
    return np.concatenate((rest, flatness, panning[None], *given, level, np.stack(list(flags))))
