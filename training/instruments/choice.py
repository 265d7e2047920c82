"""Choice of the instrument for a part: recordings, soundfonts, synthesis."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from training.instruments import performances, recordings, soundfonts, synths
from training.instruments.catalogue import Split
from training.score import Instrument

RECORDED, SAMPLED, SYNTHETIC, PERFORMED = 0, 1, 2, 3
# How often a stem's part goes to recorded notes, to a soundfont, to a synthesizer, to a recorded performance.
WEIGHTS: Final = {
    "drums": (0.7, 0.2, 0.1, 0.0),
    "bass": (0.65, 0.2, 0.15, 0.0),
    "guitar": (0.72, 0.17, 0.08, 0.03),
    "piano": (0.6, 0.3, 0.04, 0.06),
    "other": (0.3, 0.4, 0.27, 0.03),
}
# How much more often a synthesizer is played in a style.
SYNTHETIC_STYLES: Final = {"electronic": 4.0, "pop": 1.7, "jazz": 0.3, "country": 0.3}
HELD_OUT: Final = (
    0.6,
    0.4,
    0.0,
    0.0,
)  # the same of every stem in songs held out: no own synthesis, no performances


def choose(
    stem: str,
    role: str,
    style: str,
    random: np.random.Generator,
    samples: Path | None,
    split: Split = "training",
) -> Instrument:
    """An instrument for a part of any stem but vocals; without the folder of samples, drums alone are recorded."""
    makers: tuple[Callable[[], Instrument | None], ...] = (
        lambda: recordings.choose(stem, role, style, random, samples, split),
        lambda: soundfonts.choose(stem, role, style, random, split),
        lambda: synths.choose(stem, role, style, random),
        lambda: performances.choose(stem, role, random, samples, split),
    )
    weights = np.array(WEIGHTS[stem] if split == "training" else HELD_OUT)
    if stem != "guitar":
        weights[SYNTHETIC] *= SYNTHETIC_STYLES.get(style, 1.0)
    first = random.choice(len(makers), p=weights / weights.sum())
    found = makers[first]() or makers[SAMPLED]() or makers[RECORDED]()
    if found is None:
        raise ValueError(f"No {split} instrument plays {stem}, {role}; give the folder of recordings.")
    return found
