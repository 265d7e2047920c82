"""Shakers, tambourines, claps, congas, bells beside the kit."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from training.composer.choice import chance, draw, pick
from training.composer.sheet import Bar, Event, Sheet

CLAP, TAMBOURINE, COWBELL = 39, 54, 56
BONGO_HIGH, BONGO_LOW, CONGA_MUTED, CONGA_HIGH, CONGA_LOW = 60, 61, 62, 63, 64
CABASA, MARACAS, CLAVES, BLOCK, TRIANGLE, SHAKER = 69, 70, 75, 76, 81, 82
CLAVE: Final = (0, 3, 6, 10, 12)


def _shaker(bar: Bar, key: int, random: np.random.Generator) -> list[Event]:
    return [
        Event(bar.start + s / 4, 0.2, key, (0.55, 0.3, 0.45, 0.35)[s % 4] * random.uniform(0.9, 1.1))
        for s in range(bar.steps)
    ]


def _tambourine(bar: Bar, key: int, random: np.random.Generator) -> list[Event]:
    fine = bar.section.energy > 0.6
    return [
        Event(bar.start + s / 4, 0.2, key, 0.7 if s % 8 == 4 else 0.4)
        for s in range(0, bar.steps, 2 if fine else 4)
    ]


def _backbeat(bar: Bar, key: int, random: np.random.Generator) -> list[Event]:
    return [Event(bar.start + s / 4, 0.2, key, 0.75) for s in range(4, bar.steps, 8)]


def _quarters(bar: Bar, key: int, random: np.random.Generator) -> list[Event]:
    return [Event(bar.start + beat, 0.3, key, 0.6 + 0.1 * (beat % 2 == 0)) for beat in range(bar.beats)]


def _clave(bar: Bar, key: int, random: np.random.Generator) -> list[Event]:
    return [Event(bar.start + s / 4, 0.2, key, 0.6) for s in CLAVE if s < bar.steps]


def _congas(bar: Bar, key: int, random: np.random.Generator) -> list[Event]:
    """Tumbao: muted slaps, open tones before three and on four-and; bongos where the key is theirs."""
    low, high, slap = (
        (CONGA_LOW, CONGA_HIGH, CONGA_MUTED) if key == CONGA_HIGH else (BONGO_LOW, BONGO_HIGH, BONGO_HIGH)
    )
    out = []
    for s in range(bar.steps):
        if s in (6, 7):
            out.append(Event(bar.start + s / 4, 0.2, low, 0.65))
        elif s in (12, 14):
            out.append(Event(bar.start + s / 4, 0.2, high, 0.7))
        elif s % 4 == 0:
            out.append(Event(bar.start + s / 4, 0.2, slap, 0.55, True))
        elif chance(random, 0.35):
            out.append(Event(bar.start + s / 4, 0.2, pick(random, (high, slap)), 0.3, True))
    return out


Pattern = Callable[[Bar, int, np.random.Generator], list[Event]]
KINDS: Final[dict[str, tuple[Pattern, int]]] = {
    "shaker": (_shaker, SHAKER),
    "cabasa": (_shaker, CABASA),
    "maracas": (_shaker, MARACAS),
    "tambourine": (_tambourine, TAMBOURINE),
    "tambourine beat": (_backbeat, TAMBOURINE),
    "claps": (_backbeat, CLAP),
    "cowbell": (_quarters, COWBELL),
    "claves": (_clave, CLAVES),
    "block": (_clave, BLOCK),
    "triangle": (_tambourine, TRIANGLE),
    "congas": (_congas, CONGA_HIGH),
    "bongos": (_congas, BONGO_HIGH),
}
WEIGHTS: Final = {
    "shaker": 3.0,
    "cabasa": 1.0,
    "maracas": 1.0,
    "tambourine": 2.5,
    "tambourine beat": 1.5,
    "claps": 1.5,
    "cowbell": 0.6,
    "claves": 0.4,
    "block": 0.3,
    "triangle": 0.3,
    "congas": 1.5,
    "bongos": 0.8,
}


def play(sheet: Sheet, bars: Sequence[Bar], random: np.random.Generator) -> list[Event]:
    """One or two instruments for the whole song, the second only in loud sections."""
    weights = dict(WEIGHTS)
    if sheet.style in ("pop", "electronic"):
        weights["claps"] = 5.0
    if sheet.style in ("funk", "reggae"):
        weights["congas"] = 4.0
    first, second = draw(random, weights), draw(random, weights)
    second = second if second != first and chance(random, 0.5) else ""
    out: list[Event] = []
    for bar in bars:
        for name in (first, second if bar.section.energy > 0.65 else ""):
            if name:
                pattern, key = KINDS[name]
                out += pattern(bar, key, random)
    return out
