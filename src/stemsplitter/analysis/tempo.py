"""Tempo from onset curves."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stemsplitter.analysis.onsets import Curves
from stemsplitter.analysis.perceptron import perceptron
from stemsplitter.analysis.periodicity import correlations, features, refined, strength

Values = npt.NDArray[np.float64]

SLOWEST, FASTEST = 40.0, 240.0
STEPS = 64
"""Tempi per octave that are compared."""
TEMPI: Values = SLOWEST * 2 ** (np.arange(int(STEPS * np.log2(FASTEST / SLOWEST)) + 1) / STEPS)
WEIGHTS = Path(__file__).parent / "weights" / "tempo.npz"
_LEAST_STRENGTH = 0.04  # below which there is no tempo
_SAME = 2  # steps, within which two tempi are the same


@dataclass(frozen=True)
class TempoEstimate:
    """A tempo.

    Attributes:
        bpm: beats per minute, 40 to 240.
        confidence: 0 to 1, the probability that this is the tempo.
        alternatives: half and double of the tempo as far as they are in the range, the likelier first.
    """

    bpm: float
    confidence: float
    alternatives: tuple[float, ...]


def estimate_tempo(curves: Curves, frames_per_second: float) -> TempoEstimate | None:
    """Estimate the tempo from onset curves ``[T, 4]``, or ``[T, 8]`` with the drums stem; None if nothing repeats.

    The onsets of the song are correlated with themselves (after Percival and Tzanetakis, "Streamlined tempo estimation
    based on autocorrelation and cross-correlation with pulses", IEEE/ACM TASLP 22(12), 2014). A small network compares
    the tempi from 40 to 240 by the correlations at fractions and multiples of their beats, which tell half and double
    apart: the snare comes between the kicks, the hi-hat twice a beat. `docs/model-card.md` describes it.
    """
    correlation = correlations(curves, frames_per_second)
    if correlation is None:
        return None
    scores = score(features(correlation, TEMPI, frames_per_second), TEMPI)
    best = int(np.argmax(scores))
    if strength(correlation, float(TEMPI[best]), frames_per_second) < _LEAST_STRENGTH:
        return None
    probabilities = np.exp(scores - scores[best])
    around = probabilities[max(best - _SAME, 0) : best + _SAME + 1]
    bpm = refined(float(TEMPI[best]), correlation, frames_per_second)
    others = [other for other in (bpm / 2, bpm * 2) if SLOWEST <= other <= FASTEST]
    others.sort(key=lambda other: -float(np.interp(other, TEMPI, scores)))
    return TempoEstimate(bpm, float(around.sum() / probabilities.sum()), tuple(others))


def score(measured: Values, tempi: Values) -> Values:
    """Return the score of each tempo ``[n]``, the logarithm of its probability but for a constant."""
    return perceptron(inputs(measured, tempi), WEIGHTS)[:, 0]


def inputs(measured: Values, tempi: Values) -> Values:
    """Return the inputs of the network: the features and the tempo."""
    octaves = np.log2(tempi / 120)
    return np.concatenate([measured, np.stack([octaves, octaves**2, octaves**3], axis=1)], axis=1)
