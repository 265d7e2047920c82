"""Bands of frequency that the built-in network works in, and what it is told of each.

One band per bin of the transform up to 1 kHz, then 67 bands of equal width on a logarithmic scale up to
11 kHz: a mask that is constant in such a band costs 0.1 to 0.4 dB of SDR against one for each bin. Spectra are
those of a periodic Hann window of 92.9 ms every 23.2 ms, which is 4,096 samples at 44.1 kHz, scaled such that
a sine at full scale has a magnitude of 1; its bins are 10.8 Hz apart.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

BINS: Final = 1025
BANDS: Final = 160
SINGLE: Final = 93  # bands of one bin
FLOOR: Final = 1e-8  # of powers before the logarithm: -80 dB
# first bin of each band
EDGES: Final = np.concatenate(
    (np.arange(SINGLE), np.rint(np.geomspace(SINGLE, BINS, BANDS - SINGLE + 1)[:-1]).astype(int))
)
WIDTHS: Final = np.diff(np.append(EDGES, BINS)).astype(np.float32)

Maps = NDArray[np.float32]


def summed(maps: Maps) -> Maps:
    """Sum over each band: from ``[…, BINS]`` to ``[…, BANDS]``."""
    out = np.empty((*maps.shape[:-1], BANDS), np.float32)
    out[..., :SINGLE] = maps[..., :SINGLE]
    np.add.reduceat(maps[..., SINGLE:], EDGES[SINGLE:] - SINGLE, axis=-1, out=out[..., SINGLE:])
    return out


def features(instrumental: Maps, cross: Maps, vocals: Maps) -> Maps:
    """What the network is told: ``[7, T, BANDS]``.

    Args:
        instrumental: powers of middle and side ``[2, T, BINS]`` of what is to be taken apart.
        cross: real part of the product of its middle and the conjugate of its side ``[T, BINS]``.
        vocals: powers of middle and side ``[2, T, BINS]`` of the vocals found by another model; zeros without.
    """
    power, sung = summed(instrumental) / WIDTHS, summed(vocals) / WIDTHS
    level = np.log10(power + FLOOR)
    # 0 where a band is as flat as noise, far below it where one partial stands out
    flatness = summed(np.log10(instrumental + FLOOR)) / WIDTHS - level
    panning = 2 * summed(cross) / WIDTHS / (power.sum(axis=0) + FLOOR)
    return np.concatenate((level, flatness, panning[None], np.log10(sung + FLOOR)))
