"""Instruments made of real recordings, for the parts that there are recordings for."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from training.instruments.kits import kit
from training.instruments.libraries import LIBRARIES, recordings
from training.instruments.loops import loop
from training.instruments.pitched import Manner, RecordedInstrument
from training.score import Instrument

# How likely a player takes each guitar. Steel strings on a wooden body suit some music only.
GUITARS: Final = {"emily": 1.0, "electric": 1.0, "black": 1.0, "green": 1.0, "acoustic": 0.0}
ACOUSTIC: Final = {"country": 2.5, "ballad": 2.5, "pop": 1.5, "rock": 0.5, "jazz": 0.5, "reggae": 0.3}
LOOPS: Final = {"electronic": 0.4, "pop": 0.25, "funk": 0.2, "metal": 0.15}
SAXOPHONE_ROLES: Final = ("melody", "riff", "stabs")


def choose(
    stem: str, role: str, style: str, random: np.random.Generator, samples: Path | None
) -> Instrument | None:
    """An instrument of real recordings for a part, or None where there is none.

    Args:
        stem: as in `training.score.Part`.
        role: as in `training.score.Part`.
        style: as in `training.score.Song`.
        random: decides which library, tuning and manner of playing.
        samples: folder with the libraries of `training.instruments.libraries.LIBRARIES`, all or some. Drums do
            not need it: they come from Debian's hydrogen-drumkits and sonic-pi-samples.
    """
    if stem == "drums":
        looped = role == "percussion" and random.random() < LOOPS.get(style, 0.08)
        return loop(random) if looped else kit(style, random)
    makers: dict[str, Callable[[str, str, np.random.Generator, Path], Instrument | None]] = {
        "guitar": _guitar,
        "bass": _bass,
        "piano": _piano,
        "other": _saxophone,
    }
    if samples is None or stem not in makers:
        return None
    return makers[stem](role, style, random, samples)


def _guitar(role: str, style: str, random: np.random.Generator, samples: Path) -> Instrument | None:
    weights = GUITARS | {"acoustic": ACOUSTIC.get(style, 0.0) if role in ("strum", "arpeggio") else 0.0}
    names = [name for name in weights if weights[name] and recordings(samples, name)]
    if not names:
        return None
    name = str(
        random.choice(
            names, p=np.array([weights[each] for each in names]) / sum(weights[each] for each in names)
        )
    )
    heavy = style in ("metal", "rock") and role in ("riff", "strum") and name != "acoustic"
    manner = Manner(
        tuning=_cents(random, 7),
        slack=int(random.integers(1, 6))
        if random.random() < {"metal": 0.6, "rock": 0.15}.get(style, 0.0)
        else 0,
        dynamics=random.uniform(8, 20),
        release=random.uniform(0.03, 0.08),
        staccato=random.uniform(0, 0.7),
        scratch=role in ("strum", "skank") and random.random() < 0.6,
        noises=random.uniform(0.0, 0.6),
        damping=random.uniform(0.05, 0.14),
        darkness=random.uniform(900, 3000),
        tracks=2 if random.random() < (0.6 if heavy else 0.15 if role == "strum" else 0.0) else 1,
    )
    return _player(samples, name, manner)


def _bass(role: str, style: str, random: np.random.Generator, samples: Path) -> Instrument | None:
    manner = Manner(
        tuning=_cents(random, 5),
        slack=int(random.integers(1, 4)) if style == "metal" and random.random() < 0.4 else 0,
        dynamics=random.uniform(6, 14),
        release=random.uniform(0.03, 0.08),
        staccato=random.uniform(0, 0.6),
        noises=random.uniform(0.0, 0.5),
        damping=random.uniform(0.08, 0.25),
        darkness=random.uniform(300, 1200),
        single=True,
    )
    return _player(samples, "bass", manner)


def _piano(role: str, style: str, random: np.random.Generator, samples: Path) -> Instrument | None:
    manner = Manner(
        tuning=_cents(random, 6),
        dynamics=random.uniform(14, 28),
        release=random.uniform(0.05, 0.12),
        pedal=random.uniform(0.9, 2.2) if random.random() < 0.45 else 0.0,
    )
    return _player(samples, "piano", manner)


def _saxophone(role: str, style: str, random: np.random.Generator, samples: Path) -> Instrument | None:
    if role not in SAXOPHONE_ROLES:
        return None
    manner = Manner(
        tuning=_cents(random, 10),
        dynamics=random.uniform(8, 16),
        release=random.uniform(0.04, 0.08),
        damping=random.uniform(0.1, 0.2),
        darkness=random.uniform(1500, 4000),
        tracks=2 if role == "stabs" and random.random() < 0.4 else 1,
        single=role != "stabs",
    )
    return _player(samples, "saxophone", manner, str(random.choice(LIBRARIES["saxophone"].microphones)))


def _player(samples: Path, name: str, manner: Manner, microphone: str = "") -> RecordedInstrument | None:
    usable = recordings(samples, name, microphone)
    if not any(each.articulation == "sustain" for each in usable):
        return None
    return RecordedInstrument(usable, LIBRARIES[name].strings, manner)


def _cents(random: np.random.Generator, spread: float) -> float:
    """Semitones off concert pitch: most players tune well, some records run fast or slow."""
    return float(random.normal(0, spread) if random.random() < 0.85 else random.uniform(-40, 40)) / 100
