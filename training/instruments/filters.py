"""Butterworth filters for noises."""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter

from training.score import SAMPLE_RATE

Sections = NDArray[np.float64]


def band_pass(low: float, high: float) -> Sections:
    """Second-order sections between two frequencies in hertz."""
    return np.asarray(butter(1, [low, min(high, 20_000)], "bandpass", fs=SAMPLE_RATE, output="sos"))


def high_pass(hertz: float, order: int = 2) -> Sections:
    """Second-order sections above a frequency in hertz."""
    return np.asarray(butter(order, hertz, "highpass", fs=SAMPLE_RATE, output="sos"))
