"""Instruments made of real recordings, for the parts that there are recordings for."""

from pathlib import Path
from typing import Final

import numpy as np

from training.instruments.catalogue import LIBRARIES, Library, Split
from training.instruments.kits import kit
from training.instruments.libraries import recordings
from training.instruments.loops import loop
from training.instruments.pitched import Manner, RecordedInstrument
from training.score import Instrument

LOOPS: Final = {"electronic": 0.4, "pop": 0.25, "funk": 0.2, "metal": 0.15}


def choose(
    stem: str,
    role: str,
    style: str,
    random: np.random.Generator,
    samples: Path | None,
    split: Split = "training",
) -> Instrument | None:
    """An instrument of real recordings for a part, or None where there is none.

    Args:
        stem: as in `training.score.Part`.
        role: as in `training.score.Part`.
        style: as in `training.score.Song`.
        random: decides which library, tuning and manner of playing.
        samples: folder with the libraries of `training.instruments.catalogue.LIBRARIES`, all or some. Drums do
            not need it: they come from Debian's hydrogen-drumkits and sonic-pi-samples, too.
        split: which libraries may be used.
    """
    if stem == "drums":
        looped = split == "training" and role == "percussion" and random.random() < LOOPS.get(style, 0.08)
        return loop(random) if looped else kit(style, random, samples, split)
    if samples is None:
        return None
    weights = {
        name: weight
        for name, weight in fitting(stem, role, style, split).items()
        if recordings(samples, name)
    }
    if not weights:
        return None
    odds = np.array(list(weights.values()))
    name = list(weights)[random.choice(len(odds), p=odds / odds.sum())]
    library = LIBRARIES[name]
    microphone = str(random.choice(library.microphones)) if library.microphones else ""
    usable = recordings(samples, name, microphone)
    if not any(each.articulation == "sustain" for each in usable):
        return None
    return RecordedInstrument(
        usable, library.strings, _manner(library, role, style, random), name, library.amplifier
    )


def fitting(stem: str, role: str, style: str, split: Split) -> dict[str, float]:
    """The libraries that may play a part, with how often they do, relative to each other."""
    return {
        name: weight
        for name, each in LIBRARIES.items()
        if each.stem == stem
        and each.held_out == (split == "held-out")
        and (not each.roles or role in each.roles)
        and (weight := each.weight * each.styles.get(style, 1.0)) > 0
    }


def _manner(library: Library, role: str, style: str, random: np.random.Generator) -> Manner:
    if library.stem == "guitar":
        return _guitar(role, style, library.amplifier, random)
    if library.stem == "bass":
        return _bass(style, random)
    if library.stem == "piano":
        return Manner(
            tuning=_cents(random, 6),
            dynamics=random.uniform(14, 28),
            release=random.uniform(0.05, 0.12),
            pedal=random.uniform(0.9, 2.2) if library.pedal and random.random() < 0.45 else 0.0,
            noises=random.uniform(0.0, 0.4),
        )
    return Manner(
        tuning=_cents(random, 10),
        dynamics=random.uniform(8, 16),
        release=random.uniform(0.04, 0.08) if library.single else random.uniform(0.05, 0.25),
        staccato=random.uniform(0, 0.7),
        damping=random.uniform(0.1, 0.2),
        darkness=random.uniform(1500, 4000),
        tracks=2 if role in ("stabs", "harmony") and random.random() < 0.4 else 1,
        single=library.single and role != "stabs",
    )


def _guitar(role: str, style: str, electric: bool, random: np.random.Generator) -> Manner:
    heavy = style in ("metal", "rock") and role in ("riff", "strum") and electric
    low = random.random() < {"metal": 0.6, "rock": 0.15}.get(style, 0.0)
    return Manner(
        tuning=_cents(random, 7),
        slack=int(random.integers(1, 6)) if low else 0,
        dynamics=random.uniform(8, 20),
        release=random.uniform(0.03, 0.08),
        staccato=random.uniform(0, 0.7),
        scratch=role in ("strum", "skank") and random.random() < 0.6,
        noises=random.uniform(0.0, 0.6),
        damping=random.uniform(0.05, 0.14),
        darkness=random.uniform(900, 3000),
        tracks=2 if random.random() < (0.6 if heavy else 0.15 if role == "strum" else 0.0) else 1,
    )


def _bass(style: str, random: np.random.Generator) -> Manner:
    return Manner(
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


def _cents(random: np.random.Generator, spread: float) -> float:
    """Semitones off concert pitch: most players tune well, some records run fast or slow."""
    return float(random.normal(0, spread) if random.random() < 0.85 else random.uniform(-40, 40)) / 100
