"""Downmix of any channel layout to stereo or mono."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

_MINUS_3_DB = math.sqrt(0.5)

# Coefficients of each channel for left and right: Recommendation ITU-R BS.775-3, Annex 4 (3/2 to stereo), which
# omits the low-frequency effects channel. Other channels use those of the nearest one: rear and wide pairs are
# surrounds, a single rear channel is one surround at -3 dB on each side.
_SHARES: dict[str, tuple[float, float]] = {
    "FL": (1, 0),
    "FR": (0, 1),
    "FC": (_MINUS_3_DB, _MINUS_3_DB),
    "LFE": (0, 0),
    "LFE2": (0, 0),
    "BL": (_MINUS_3_DB, 0),
    "BR": (0, _MINUS_3_DB),
    "SL": (_MINUS_3_DB, 0),
    "SR": (0, _MINUS_3_DB),
    "BC": (0.5, 0.5),
    "FLC": (1, 0),
    "FRC": (0, 1),
    "WL": (_MINUS_3_DB, 0),
    "WR": (0, _MINUS_3_DB),
    "DL": (1, 0),
    "DR": (0, 1),
}
# Layouts of channels without a known position, by their number, in the order of WAVEFORMATEX. No channel may be
# lost, so the low-frequency effects channel is mixed as a center.
_UNNAMED: dict[int, tuple[str, ...]] = {
    1: ("FC",),
    2: ("FL", "FR"),
    3: ("FL", "FR", "FC"),
    4: ("FL", "FR", "BL", "BR"),
    5: ("FL", "FR", "FC", "BL", "BR"),
    6: ("FL", "FR", "FC", "FC", "BL", "BR"),
    7: ("FL", "FR", "FC", "FC", "BC", "SL", "SR"),
    8: ("FL", "FR", "FC", "FC", "BL", "BR", "SL", "SR"),
}


def channel_names(names: Sequence[str]) -> tuple[str, ...]:
    """FFmpeg's channel names; if one has no known position, those of the default layout with as many channels."""
    if all(name in _SHARES for name in names):
        return tuple(names)
    return _UNNAMED.get(len(names), tuple(names))


def stereo_matrix(names: Sequence[str]) -> Samples:
    """The ``[2, len(names)]`` matrix that mixes channels with these FFmpeg names to left and right.

    The result is not normalized, so a 5.1 mix can exceed full scale. Channels without a known position use the
    default layout with as many channels: quad for four, 5.0 for five.
    """
    return np.array([_SHARES[name] for name in channel_names(names)], np.float32).T.copy()


def to_channels(block: Samples, names: Sequence[str], channels: int) -> Samples:
    """Convert ``[len(names), n]`` to ``[channels, n]`` with 1 or 2 ``channels``.

    Mono becomes stereo as two equal channels; stereo becomes mono as the mean of the two.
    """
    if block.shape[0] == channels:
        return block
    if block.shape[0] == 1:
        return np.repeat(block, 2, axis=0)
    stereo = block if block.shape[0] == 2 else stereo_matrix(names) @ block
    return stereo if channels == 2 else stereo.mean(axis=0, keepdims=True, dtype=np.float32)
