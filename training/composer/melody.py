"""Melodies: phrases with a rhythm that returns, a contour, and air between them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.composer.choice import chance, pick
from training.composer.sheet import Bar, Event, Sheet
from training.composer.theory import Chord, ladder, near


@dataclass(frozen=True)
class Manner:
    """Parameters of a melody.

    Attributes:
        low, high: its range.
        density: share of eighths on which a note starts, 0…1.
        fast: share of phrases in sixteenths or triplets.
        rest: quarter notes of silence at the end of a phrase.
        legato: share of the way to the next note that a note is held.
        leap: typical step of the line in notes of the scale.
    """

    low: int
    high: int
    density: float
    fast: float
    rest: float
    legato: float
    leap: float


def phrases(
    sheet: Sheet, bars: Sequence[Bar], scale: Sequence[int], manner: Manner, random: np.random.Generator
) -> list[Event]:
    """A melody over the bars in phrases of two bars (four at high tempo).

    Sections of one kind share two rhythms and contours. Notes on a beat belong to its chord, the others to
    ``scale`` (semitones above the key).
    """
    length = 2 if sheet.tempo < 150 else 4
    notes = ladder(sheet.key, scale, manner.low, manner.high)
    seeds: dict[str, tuple[int, int]] = {}
    out: list[Event] = []
    here = float(pick(random, notes[len(notes) // 4 : 3 * len(notes) // 4]))
    for group in groups(bars, length):
        kind = group[0].section.kind
        pair = seeds.setdefault(kind, (int(random.integers(2**31)), int(random.integers(2**31))))
        same = np.random.default_rng(pair[group[0].place // length % 2])
        places = _rhythm(sheet, group, manner, same)
        line = _line(group, places, notes, manner, here, same)
        if chance(random, 0.08):
            continue
        out += line
        here = 0.5 * line[-1].pitch + 0.25 * (manner.low + manner.high) if line else here
    return out


def groups(bars: Sequence[Bar], length: int) -> list[list[Bar]]:
    """Bars in phrases: neighbours of one section, cut at multiples of ``length``."""
    out: list[list[Bar]] = []
    for bar in bars:
        before = out[-1][-1] if out else None
        joined = before and before.section is bar.section and before.place == bar.place - 1
        if joined and bar.place % length:
            out[-1].append(bar)
        else:
            out.append([bar])
    return out


def _rhythm(
    sheet: Sheet, group: Sequence[Bar], manner: Manner, random: np.random.Generator
) -> list[tuple[float, float]]:
    """Starts and ends of a phrase's notes in quarters from its first bar line."""
    total = sum(bar.beats for bar in group)
    until = max(1.5, total - manner.rest * random.uniform(0.6, 1.5))
    grid = 0.5 if sheet.tempo < 150 else 1.0
    if chance(random, manner.fast):
        grid = pick(random, (0.25, 0.25, 1 / 3)) if sheet.tempo < 140 else 0.5
    place = pick(random, (0.0, 0.0, 0.0, 0.5, 1.0, 1.5))
    starts = []
    while place < until - 0.2:
        starts.append(place)
        longer = 1 + int(random.geometric(max(0.15, manner.density))) - 1
        place += grid * min(longer, 8)
    if chance(random, 0.45):
        # A phrase likes to end on a long note.
        tail = until - random.uniform(0.8, 2.2)
        starts = [start for start in starts if start < tail]
    starts = starts or [0.0]
    held = [*starts[1:], until + random.uniform(0, 0.5)]
    return [(start, start + (end - start) * manner.legato) for start, end in zip(starts, held, strict=True)]


def _line(
    group: Sequence[Bar],
    places: Sequence[tuple[float, float]],
    notes: Sequence[int],
    manner: Manner,
    here: float,
    random: np.random.Generator,
) -> list[Event]:
    """Pitches for a rhythm: a walk along the scale, drawn to the middle, on the beat to the chord."""
    first = group[0]
    index = min(range(len(notes)), key=lambda i: abs(notes[i] - here))
    out = []
    direction = pick(random, (-1, 1))
    for start, end in places:
        bar = group[min(int(start // first.beats), len(group) - 1)]
        if chance(random, 0.35) or index in (0, len(notes) - 1):
            direction = 1 if index < len(notes) * random.uniform(0.25, 0.75) else -1
        step = (
            0
            if chance(random, 0.18)
            else 1 + int(random.random() < 0.25 * manner.leap) * pick(random, (1, 2, 3))
        )
        index = int(np.clip(index + direction * step, 0, len(notes) - 1))
        pitch = notes[index]
        if start % 1 < 1e-6 or end - start > 1:
            pitch = on_chord(bar.chord(first.start + start), pitch, manner.low, manner.high)
        velocity = 0.68 + 0.12 * (start % 1 < 1e-6) + 0.12 * bar.section.energy
        out.append(Event(first.start + start, end - start, pitch, velocity))
    return out


def on_chord(chord: Chord, pitch: int, low: int, high: int) -> int:
    """The tone of the chord nearest to a pitch, within a range of at least an octave."""
    best = min((near(tone, pitch) for tone in chord.tones), key=lambda tone: abs(tone - pitch))
    if best < low:
        return best + 12
    return best - 12 if best > high else best
