"""Melodies of lead and harmony vocals."""

from collections.abc import Sequence

import numpy as np

from training.composer.choice import chance, pick
from training.composer.melody import Manner, on_chord, phrases
from training.composer.sheet import Bar, Event, Sheet
from training.composer.theory import ladder, pentatonic

LOWEST, HIGHEST = 45, 76


def lead(sheet: Sheet, bars: Sequence[Bar], random: np.random.Generator) -> list[Event]:
    """A singer of a range of about an octave and a half between A2 and E5; a breath ends every phrase."""
    low = int(random.integers(LOWEST, 60))
    high = min(HIGHEST, low + int(random.integers(13, 19)))
    scale = pentatonic(sheet.scale) if chance(random, 0.4) else sheet.scale
    rapid = sheet.style in ("metal", "funk", "electronic")
    manner = Manner(
        low=low,
        high=high,
        density=random.uniform(0.45, 0.95) * (0.7 if sheet.style == "ballad" else 1.0),
        fast=0.35 if rapid else 0.15,
        rest=random.uniform(1.0, 2.5),
        legato=random.uniform(0.85, 0.98),
        leap=random.uniform(0.4, 1.2),
    )
    return phrases(sheet, bars, scale, manner, random)


def harmony(
    sheet: Sheet, bars: Sequence[Bar], melody: Sequence[Event], random: np.random.Generator
) -> list[Event]:
    """A second voice to the melody in the given bars: thirds or sixths of the scale, or an octave, or long vowels."""
    kind = pick(random, ("third", "third", "sixth", "below", "octave", "held"))
    if kind == "held" or not melody:
        centre = int(random.integers(55, 67))
        return [
            Event(span.start, span.beats * 0.93, on_chord(span.chord, centre, LOWEST, HIGHEST), 0.6)
            for bar in bars
            for span in bar.spans
        ]
    notes = ladder(sheet.key, sheet.scale, LOWEST, HIGHEST)
    shift = {"third": 2, "sixth": 5, "below": -2, "octave": -7}[kind]
    out = []
    sung = {(bar.start, bar.start + bar.beats) for bar in bars}
    for event in melody:
        if not any(start <= event.beat < end for start, end in sung):
            continue
        index = min(range(len(notes)), key=lambda i: abs(notes[i] - event.pitch)) + shift
        index = index - 7 if index >= len(notes) else index + 7 if index < 0 else index
        out.append(event._replace(pitch=notes[index], velocity=event.velocity * 0.8))
    return out
