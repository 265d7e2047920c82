"""Tempo, modes, chords and players of the nine styles."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Style:
    """A style.

    Attributes:
        tempo: range, quarter notes a minute.
        modes: weights of the scales.
        swing: weights of how late the off-beat comes (0.5 straight, 0.667 triplet).
        sixteenths: whether swing is felt on sixteenths instead of eighths.
        waltz: share of songs with three quarters a bar.
        stems: share of songs in which a stem plays at all.
        roles: for each stem with several roles, the weights of the sets of roles it plays.
        loose: typical jitter of a player in seconds.
    """

    tempo: tuple[float, float]
    modes: dict[str, float]
    swing: dict[float, float]
    sixteenths: bool
    waltz: float
    stems: dict[str, float]
    roles: dict[str, dict[tuple[str, ...], float]]
    loose: float


KIT: Final = {("kit",): 0.6, ("kit", "percussion"): 0.4}
SONG: Final = {("lead",): 0.6, ("lead", "harmony"): 0.4}
PIANO: Final = {
    ("chords",): 5.0,
    ("arpeggio",): 2.0,
    ("chords", "melody"): 1.5,
    ("melody",): 0.7,
    ("arpeggio", "melody"): 0.8,
}
OTHER: Final = {
    ("pad",): 3.0,
    ("stabs",): 1.2,
    ("melody",): 1.2,
    ("riff",): 0.8,
    ("arpeggio",): 0.8,
    ("pad", "melody"): 1.5,
    ("pad", "stabs"): 0.8,
    ("pad", "arpeggio"): 0.7,
    ("stabs", "melody"): 0.6,
}


def _stems(
    vocals: float, drums: float, bass: float, guitar: float, piano: float, other: float
) -> dict[str, float]:
    return {"vocals": vocals, "drums": drums, "bass": bass, "guitar": guitar, "piano": piano, "other": other}


def _roles(
    guitar: dict[tuple[str, ...], float],
    drums: dict[tuple[str, ...], float] = KIT,
    piano: dict[tuple[str, ...], float] = PIANO,
    other: dict[tuple[str, ...], float] = OTHER,
) -> dict[str, dict[tuple[str, ...], float]]:
    return {
        "vocals": SONG,
        "drums": drums,
        "bass": {("line",): 1.0},
        "guitar": guitar,
        "piano": piano,
        "other": other,
    }


STYLES: Final = {
    "rock": Style(
        tempo=(88, 168),
        modes={"major": 4, "minor": 3, "mixolydian": 3, "dorian": 1},
        swing={0.5: 8, 0.56: 1, 0.64: 1},
        sixteenths=False,
        waltz=0.04,
        stems=_stems(0.85, 0.92, 0.9, 0.9, 0.74, 0.68),
        roles=_roles(
            {
                ("strum",): 2,
                ("riff",): 2,
                ("strum", "lead"): 3,
                ("riff", "lead"): 3,
                ("riff", "arpeggio"): 2,
                ("strum", "arpeggio"): 1,
                ("strum", "riff", "lead"): 2,
            }
        ),
        loose=0.009,
    ),
    "pop": Style(
        tempo=(78, 132),
        modes={"major": 6, "minor": 3, "dorian": 1, "mixolydian": 1},
        swing={0.5: 8, 0.55: 1, 0.6: 1},
        sixteenths=True,
        waltz=0.03,
        stems=_stems(0.86, 0.88, 0.86, 0.75, 0.78, 0.8),
        roles=_roles(
            {
                ("strum",): 4,
                ("arpeggio",): 2,
                ("strum", "arpeggio"): 2,
                ("strum", "lead"): 1.5,
                ("skank",): 0.7,
                ("riff",): 0.7,
            },
            drums={("kit",): 0.4, ("kit", "percussion"): 0.6},
        ),
        loose=0.007,
    ),
    "metal": Style(
        tempo=(96, 205),
        modes={"minor": 4, "phrygian": 3, "harmonic": 2, "dorian": 1},
        swing={0.5: 1},
        sixteenths=False,
        waltz=0.05,
        stems=_stems(0.82, 0.94, 0.9, 0.96, 0.55, 0.65),
        roles=_roles(
            {
                ("riff",): 4,
                ("riff", "lead"): 5,
                ("riff", "arpeggio"): 2,
                ("riff", "strum"): 1.5,
                ("riff", "arpeggio", "lead"): 1,
            },
            drums={("kit",): 1.0},
        ),
        loose=0.006,
    ),
    "funk": Style(
        tempo=(88, 122),
        modes={"dorian": 5, "mixolydian": 4, "minor": 2, "major": 1},
        swing={0.5: 4, 0.55: 3, 0.6: 2},
        sixteenths=True,
        waltz=0.0,
        stems=_stems(0.78, 0.9, 0.92, 0.84, 0.76, 0.76),
        roles=_roles(
            {("strum",): 2, ("riff",): 2, ("skank",): 2, ("strum", "riff"): 2, ("strum", "lead"): 1},
            drums={("kit",): 0.45, ("kit", "percussion"): 0.55},
            other={("stabs",): 4, ("pad", "stabs"): 2, ("riff",): 1.5, ("stabs", "melody"): 1.5, ("pad",): 2},
        ),
        loose=0.006,
    ),
    "electronic": Style(
        tempo=(96, 142),
        modes={"minor": 5, "dorian": 2, "major": 2, "phrygian": 1},
        swing={0.5: 7, 0.55: 2, 0.6: 1},
        sixteenths=True,
        waltz=0.0,
        stems=_stems(0.72, 0.92, 0.9, 0.5, 0.68, 0.96),
        roles=_roles(
            {("strum",): 1, ("arpeggio",): 1, ("lead",): 0.6, ("skank",): 0.6},
            other={
                ("pad", "arpeggio"): 3,
                ("stabs", "arpeggio"): 1.5,
                ("pad", "riff"): 2,
                ("pad", "melody"): 2,
                ("pad", "arpeggio", "melody"): 2,
                ("riff", "stabs"): 1.5,
                ("pad", "stabs", "riff"): 1,
            },
        ),
        loose=0.0015,
    ),
    "ballad": Style(
        tempo=(58, 88),
        modes={"major": 6, "minor": 4, "mixolydian": 1},
        swing={0.5: 7, 0.667: 2},
        sixteenths=False,
        waltz=0.15,
        stems=_stems(0.88, 0.72, 0.78, 0.72, 0.85, 0.78),
        roles=_roles(
            {("arpeggio",): 4, ("strum",): 2, ("arpeggio", "lead"): 2, ("strum", "arpeggio"): 1.5},
            piano={("chords",): 3, ("arpeggio",): 4, ("arpeggio", "melody"): 2, ("chords", "melody"): 2},
            other={("pad",): 5, ("pad", "melody"): 3, ("melody",): 1, ("pad", "stabs"): 0.5},
        ),
        loose=0.012,
    ),
    "jazz": Style(
        tempo=(92, 210),
        modes={"major": 5, "dorian": 2, "minor": 2, "harmonic": 1},
        swing={0.5: 1, 0.6: 2, 0.64: 3, 0.667: 4},
        sixteenths=False,
        waltz=0.15,
        stems=_stems(0.6, 0.85, 0.92, 0.66, 0.85, 0.75),
        roles=_roles(
            {("strum",): 3, ("lead",): 1.5, ("strum", "lead"): 2, ("arpeggio",): 0.7},
            drums={("kit",): 0.85, ("kit", "percussion"): 0.15},
            other={("melody",): 5, ("stabs",): 2, ("stabs", "melody"): 3, ("pad",): 1},
        ),
        loose=0.011,
    ),
    "reggae": Style(
        tempo=(66, 96),
        modes={"minor": 4, "major": 4, "dorian": 2, "mixolydian": 1},
        swing={0.5: 4, 0.56: 3, 0.62: 2},
        sixteenths=True,
        waltz=0.0,
        stems=_stems(0.84, 0.93, 0.93, 0.87, 0.78, 0.76),
        roles=_roles(
            {("skank",): 6, ("skank", "lead"): 2, ("skank", "riff"): 2, ("skank", "arpeggio"): 1},
            drums={("kit",): 0.5, ("kit", "percussion"): 0.5},
            other={("stabs",): 3, ("pad",): 2, ("pad", "stabs"): 1.5, ("stabs", "melody"): 2, ("riff",): 1},
        ),
        loose=0.009,
    ),
    "country": Style(
        tempo=(84, 190),
        modes={"major": 7, "mixolydian": 2, "minor": 1},
        swing={0.5: 6, 0.58: 2, 0.66: 2},
        sixteenths=False,
        waltz=0.15,
        stems=_stems(0.87, 0.86, 0.87, 0.93, 0.74, 0.7),
        roles=_roles(
            {
                ("strum",): 3,
                ("arpeggio",): 2,
                ("strum", "lead"): 4,
                ("strum", "arpeggio"): 3,
                ("strum", "arpeggio", "lead"): 1.5,
                ("skank", "lead"): 1,
            },
            other={("melody",): 4, ("pad",): 2, ("pad", "melody"): 2, ("riff",): 0.6},
        ),
        loose=0.01,
    ),
}

# how often each is written: what people have taken apart is mostly songs with a band
OFTEN: Final = {
    "rock": 2.2,
    "pop": 1.6,
    "metal": 1.4,
    "country": 1.2,
    "reggae": 1.0,
    "funk": 0.9,
    "ballad": 0.9,
    "electronic": 0.7,
    "jazz": 0.5,
}
