"""The last desk of a song."""

import numpy as np

from training.effects.dynamics import active_level, amplitude, apply, compression, limiting
from training.effects.filters import convolve, high_pass, high_shelf, impulse_response, low_shelf, peak
from training.score import Audio

_CEILING = 0.97


def master(stems: dict[str, Audio], random: np.random.Generator) -> dict[str, Audio]:
    """Equalised, glued and limited, every stem ``[2, n]`` alike: their sum is the master, within ±0.97."""
    response = impulse_response(
        high_pass(random.uniform(18, 32)),
        low_shelf(random.uniform(60, 150), random.uniform(-2, 3)),
        peak(random.uniform(200, 600), random.uniform(-2.5, 1), 0.7),
        peak(random.uniform(1500, 5000), random.uniform(-1.5, 2), 0.7),
        high_shelf(random.uniform(6000, 11_000), random.uniform(-2, 4)),
    )
    mastered = {stem: convolve(audio, response) for stem, audio in stems.items()}
    if random.random() < 0.8:
        glue = compression(
            _sum(mastered),
            threshold=random.uniform(-8, 2),
            ratio=random.uniform(1.3, 4),
            attack=random.uniform(0.003, 0.03),
            release=random.uniform(0.05, 0.4),
        )
        mastered = {stem: apply(audio, glue) for stem, audio in mastered.items()}
    # From a quiet master of the seventies to the loudness war.
    loudness = np.float32(amplitude(random.uniform(-22, -8) - active_level(_sum(mastered))))
    mastered = {stem: audio * loudness for stem, audio in mastered.items()}
    limiter = limiting(_sum(mastered), _CEILING, release=random.uniform(0.02, 0.2))
    return {stem: apply(audio, limiter) for stem, audio in mastered.items()}


def _sum(stems: dict[str, Audio]) -> Audio:
    return np.sum(list(stems.values()), axis=0)
