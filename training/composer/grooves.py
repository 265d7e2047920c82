"""Rhythms shared by bass drum, backbeat and riffs, for each kind of section."""

from typing import Final

import numpy as np

from training.composer.choice import chance, draw, pick, steps
from training.composer.sheet import Groove

TIMES: Final = {
    "rock": {"eighths": 5, "quarters": 2, "ride": 2, "open": 2, "offbeat": 0.5, "toms": 0.6},
    "pop": {"eighths": 5, "sixteenths": 2, "quarters": 1, "offbeat": 1, "ride": 1, "open": 0.5},
    "metal": {"eighths": 2, "quarters": 3, "ride": 3, "open": 3, "china": 1},
    "funk": {"sixteenths": 5, "eighths": 3, "offbeat": 1, "ride": 0.5},
    "electronic": {"offbeat": 5, "sixteenths": 3, "eighths": 2, "trap": 1, "none": 0.5},
    "ballad": {"eighths": 5, "quarters": 1.5, "ride": 2, "sixteenths": 1, "none": 0.5},
    "jazz": {"swing": 8, "brushes": 2, "ride": 1},
    "reggae": {"eighths": 4, "offbeat": 2, "sixteenths": 1, "triplets": 1},
    "country": {"eighths": 3, "train": 3, "offbeat": 2, "quarters": 1, "ride": 1},
}
KICKS: Final = {
    "rock": (
        "x.......x.......",
        "x.......x.x.....",
        "x.....x.x.......",
        "x..x......x.....",
        "x.x.....x.x.....",
        "x.....x...x.....",
        "x...x...x...x...",
        "x.......x..x..x.",
        "x.x...x...x.x...",
    ),
    "pop": (
        "x.......x.......",
        "x.....x.x.......",
        "x...x...x...x...",
        "x..x..x...x.....",
        "x.......x.x.....",
        "x......xx.......",
        "x..x......x..x..",
        "x.........x.....",
    ),
    "metal": (
        "x.x.x.x.x.x.x.x.",
        "xxxxxxxxxxxxxxxx",
        "x..x..x..x..x.x.",
        "x.xxx.xxx.xxx.xx",
        "xxx.xxx.xxx.xxx.",
        "x...x...x...x...",
        "x.......x.x.....",
        "x.x...x.x.xx....",
    ),
    "funk": (
        "x.x.......xx....",
        "x..x..x...x..x..",
        "x.....x..xx....x",
        "x.......x.xx....",
        "x.x....x.xx..x..",
        "x..x......x..x.x",
        "x......x..x.....",
    ),
    "electronic": (
        "x...x...x...x...",
        "x...x...x...x...",
        "x...x...x...x.x.",
        "x..x..x...x.....",
        "x.......x.x.....",
        "x.........x.....",
        "x......x..x..x..",
    ),
    "ballad": (
        "x.......x.......",
        "x.......x.x.....",
        "x......xx.......",
        "x.........x.....",
        "x.....x...x.....",
    ),
    "jazz": (
        "x...x...x...x...",
        "x.......x.......",
        "x.........x.....",
        "......x.......x.",
        "x.....x.........",
    ),
    "reggae": (
        "........x.......",
        "........x.......",
        "x.......x.......",
        "x...x...x...x...",
        "x.....x.x.......",
        "......x.x.......",
    ),
    "country": (
        "x.......x.......",
        "x.......x.......",
        "x.......x.x.....",
        "x...x...x...x...",
        "x.....x.x.......",
    ),
}
SNARES: Final = {
    "rock": {
        "....x.......x...": 8,
        "........x.......": 1.2,
        "..x...x...x...x.": 0.5,
        "....x..x....x...": 0.7,
    },
    "pop": {"....x.......x...": 8, "........x.......": 1, "....x.......x..x": 0.6},
    "metal": {
        "....x.......x...": 5,
        "........x.......": 2.5,
        "..x...x...x...x.": 2,
        "x.x.x.x.x.x.x.x.": 0.5,
        ".x.x.x.x.x.x.x.x": 0.6,
    },
    "funk": {"....x.......x...": 7, "....x.........x.": 0.8, "....x..x....x...": 1},
    "electronic": {
        "....x.......x...": 6,
        "........x.......": 2,
        "...x..x....x..x.": 0.5,
        "................": 1,
    },
    "ballad": {"....x.......x...": 6, "........x.......": 3},
    "jazz": {"................": 4, "....x.......x...": 1, "......x.........": 2},
    "reggae": {"........x.......": 6, "....x.......x...": 2},
    "country": {"....x.......x...": 7, "..x...x...x...x.": 1.5},
}
WALTZ_KICKS: Final = ("x...........", "x.....x.....", "x.......x.x.", "x.........x.")
WALTZ_SNARES: Final = ("....x...x...", "........x...", "....x.......")
ACCENTS: Final = (
    "x..x..x..x..x.x.",
    "x.x.x.x.x.x.x.x.",
    "x..x..x...x.x...",
    "x.....x.x...x...",
    "x..xx.x.x..xx.x.",
    "x.xxx.xxx.xxx.xx",
    "x...x..x..x.x...",
    "xxx.xxx.xxx.xx.x",
    "x.......x.x.x...",
    "..x..x....x..x..",
    "x..x....x..x....",
)


def grooves(style: str, beats: int, random: np.random.Generator) -> dict[str, Groove]:
    """A groove for each kind of section of a song with ``beats`` quarters a bar.

    Kinds often share one, so that a song keeps its feel.
    """
    verse, chorus = _groove(style, beats, random), _groove(style, beats, random)
    if chance(random, 0.4):
        chorus = Groove(verse.kick, verse.snare, chorus.accents, chorus.time)
    out = {"verse": verse, "chorus": chorus}
    for kind in ("intro", "break", "solo"):
        out[kind] = pick(random, (verse, chorus, chorus if kind == "solo" else _groove(style, beats, random)))
    return out


def _groove(style: str, beats: int, random: np.random.Generator) -> Groove:
    time = draw(random, TIMES[style])
    kick = steps(pick(random, KICKS[style]))
    snare = steps(draw(random, SNARES[style]))
    if chance(random, 0.25) and style not in ("jazz", "reggae"):
        kick = tuple(
            sorted({0, *(int(step) for step in random.choice(8, 3, replace=False) * 2)} - set(snare))
        )
    if beats == 3:
        kick, snare = steps(pick(random, WALTZ_KICKS)), steps(pick(random, WALTZ_SNARES))
    if chance(random, 0.5):
        accents = steps(pick(random, ACCENTS))
    else:
        share = random.uniform(0.25, 0.65)
        accents = tuple(
            step for step in range(16) if step == 0 or chance(random, share * (1, 0.5, 1, 0.5)[step % 4])
        )
    if style == "metal" and chance(random, 0.5):
        kick = accents
    limit = beats * 4
    return Groove(kick, snare, tuple(step for step in accents if step < limit), time)
