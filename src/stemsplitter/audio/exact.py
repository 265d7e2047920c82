"""Rounding of stems so that their integers sum to those of the song."""

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]


def snapped(stems: Samples, mixture: Samples, bits: int = 24) -> Samples:
    """Round stems ``[S, C, n]`` to integers of ``bits`` whose sum is the mixture ``[C, n]`` rounded to ``bits``.

    What rounding leaves, at most (S + 1) / 2 steps, goes to the stem with the most energy, which hides it best: silent
    stems stay silent. Returns floats, full scale being 1; float32 holds integers of 24 bits up to twice full scale
    exactly. Integers are not clipped at full scale.
    """
    scale = np.float32(1 << (bits - 1))  # a power of two, so that the products are exact
    steps = stems * scale
    np.rint(steps, out=steps)
    left = np.rint(mixture * scale) - steps.sum(axis=0, dtype=np.float64)
    flat = stems.reshape(len(stems), -1)
    loudest = int(np.argmax(np.einsum("ij,ij->i", flat, flat)))
    steps[loudest] += left
    steps *= 1 / scale
    return steps
