"""Who plays a part: real recordings where there are some, soundfonts and synthesis for variety."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from training.instruments import recordings, soundfonts, synths
from training.score import Instrument

RECORDED, SAMPLED, SYNTHETIC = 0, 1, 2
# How often a stem's part goes to real recordings, to a soundfont, to a synthesizer.
WEIGHTS: Final = {
    "drums": (0.55, 0.33, 0.12),
    "bass": (0.5, 0.32, 0.18),
    "guitar": (0.5, 0.33, 0.17),
    "piano": (0.5, 0.44, 0.06),
    "other": (0.12, 0.56, 0.32),
}
# How much more often a synthesizer is played in a style.
SYNTHETIC_STYLES: Final = {"electronic": 6.0, "pop": 1.7, "jazz": 0.3, "country": 0.3}


def choose(stem: str, role: str, style: str, random: np.random.Generator, samples: Path | None) -> Instrument:
    """An instrument for a part of any stem but vocals; without the folder of samples, drums alone are recorded."""
    makers: tuple[Callable[[], Instrument | None], ...] = (
        lambda: recordings.choose(stem, role, style, random, samples),
        lambda: soundfonts.choose(stem, role, style, random),
        lambda: synths.choose(stem, role, style, random),
    )
    weights = np.array(WEIGHTS[stem])
    if stem != "guitar":
        weights[SYNTHETIC] *= SYNTHETIC_STYLES.get(style, 1.0)
    first = random.choice(len(makers), p=weights / weights.sum())
    return makers[first]() or soundfonts.choose(stem, role, style, random)
