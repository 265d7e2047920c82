"""The bands of the RoFormers."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

# Mel bands: each covers the bins from one of these edges up to the second edge after it, so each bin is in two bands,
# but for those at both ends. They are those where librosa's Slaney filters (60 bands, 2,048 samples at 44.1 kHz) are
# positive, with the first and the last bin added, as MSST trains with; a test compares them.
MEL_EDGES: Final = (
    0, 4, 7, 10, 13, 16, 19, 22, 25, 28, 31, 34, 37, 40, 43, 46,
    49, 53, 56, 60, 65, 69, 74, 79, 84, 90, 97, 103, 110, 118, 126, 135,
    145, 155, 165, 177, 189, 203, 217, 232, 248, 265, 284, 304, 325, 348, 372, 398,
    426, 455, 487, 521, 558, 597, 638, 683, 731, 782, 836, 895, 958, 1025,
)  # fmt: skip
MEL_BINS: Final = tuple(MEL_EDGES[band + 2] - MEL_EDGES[band] for band in range(len(MEL_EDGES) - 2))
"""Number of bins in each Mel band."""

Indices = NDArray[np.int64]


def mel_bins() -> Indices:
    """Return the bin of each place in the concatenated Mel bands."""
    return np.concatenate([np.arange(MEL_EDGES[band], MEL_EDGES[band + 2]) for band in range(len(MEL_BINS))])


def mel_places() -> tuple[Indices, Indices]:
    """Return the first and the last place of each bin in the concatenated Mel bands; equal for bins in one band."""
    bins = mel_bins()
    order = np.argsort(bins, kind="stable")
    first = np.searchsorted(bins[order], np.arange(MEL_EDGES[-1]))
    last = np.searchsorted(bins[order], np.arange(MEL_EDGES[-1]), side="right") - 1
    return order[first], order[last]
