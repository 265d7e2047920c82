"""Chords, scales and how hands lay chords out."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

SCALES: Final = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "harmonic": (0, 2, 3, 5, 7, 8, 11),
}
QUALITIES: Final = {
    "": (0, 4, 7),
    "m": (0, 3, 7),
    "5": (0, 7),
    "6": (0, 4, 7, 9),
    "m6": (0, 3, 7, 9),
    "7": (0, 4, 7, 10),
    "m7": (0, 3, 7, 10),
    "maj7": (0, 4, 7, 11),
    "9": (0, 4, 7, 10, 14),
    "m9": (0, 3, 7, 10, 14),
    "13": (0, 4, 10, 14, 21),
    "7b9": (0, 4, 10, 13),
    "7#9": (0, 4, 10, 15),
    "add9": (0, 4, 7, 14),
    "madd9": (0, 3, 7, 14),
    "sus2": (0, 2, 7),
    "sus4": (0, 5, 7),
    "7sus4": (0, 5, 7, 10),
    "dim": (0, 3, 6),
    "dim7": (0, 3, 6, 9),
    "m7b5": (0, 3, 6, 10),
    "aug": (0, 4, 8),
}
DEGREES: Final = {"I": 0, "II": 2, "III": 4, "IV": 5, "V": 7, "VI": 9, "VII": 11}
STRINGS: Final = (40, 45, 50, 55, 59, 64)
NUMERAL: Final = re.compile(r"([b#]?)([ivIV]+)(.*)")


@dataclass(frozen=True)
class Chord:
    """A chord.

    Attributes:
        root: pitch class, 0 = C.
        intervals: semitones above the root, ascending, the first is 0.
    """

    root: int
    intervals: tuple[int, ...]

    @property
    def tones(self) -> tuple[int, ...]:
        """Pitch classes in the order of the intervals."""
        return tuple((self.root + interval) % 12 for interval in self.intervals)

    @property
    def minor(self) -> bool:
        """True if its third is minor."""
        return 3 in self.intervals

    @property
    def fifth(self) -> int:
        """Semitones from the root to its fifth, 7 where the chord names none."""
        return next((interval for interval in self.intervals if 6 <= interval <= 8), 7)


def read_chord(numeral: str, key: int) -> Chord:
    """The chord of a Roman numeral such as ``bVII``, ``ii7``, ``Vsus4`` above the tonic ``key``.

    Small letters mean minor, an accidental is relative to the major scale. Raises KeyError for an unknown
    degree or quality.
    """
    match = NUMERAL.fullmatch(numeral)
    if match is None:
        raise KeyError(numeral)
    accidental, degree, quality = match.groups()
    if degree.islower() and not quality.startswith(("m", "dim", "5", "sus")):
        quality = "m" + quality
    root = key + DEGREES[degree.upper()] + {"b": -1, "#": 1, "": 0}[accidental]
    return Chord(root % 12, QUALITIES[quality])


def voice(chord: Chord, centre: float, previous: Sequence[int] = (), size: int = 4) -> tuple[int, ...]:
    """The close position of a chord nearest to the previous one (least movement of the voices), ascending.

    ``centre`` is the MIDI number around which the hand stays; at most ``size`` notes.
    """
    return _voice(chord, round(centre), tuple(previous), size)


@lru_cache(maxsize=4096)
def _voice(chord: Chord, centre: int, previous: tuple[int, ...], size: int) -> tuple[int, ...]:
    tones = list(chord.tones)
    if len(tones) > size and 7 in chord.intervals:
        tones.remove((chord.root + 7) % 12)
    tones = tones[-size:] if len(tones) > size else tones
    best: tuple[int, ...] = ()
    least = float("inf")
    for low in range(centre - 11, centre + 5):
        if low % 12 not in tones:
            continue
        notes = tuple(sorted(low + (tone - low) % 12 for tone in tones))
        cost = 0.5 * abs(sum(notes) / len(notes) - centre)
        if previous:
            cost += sum(min(abs(note - old) for old in previous) for note in notes)
        if cost < least:
            best, least = notes, cost
    return best


@lru_cache(maxsize=4096)
def fret(chord: Chord, position: int) -> tuple[int, ...]:
    """Pitches of a chord near a fret of a guitar in standard tuning, from the lowest string up.

    The root lies on one of the three lowest strings, every higher string sounds its first tone of the chord
    within four frets (or open in first position).
    """
    choices = []
    for start in range(max(0, position - 3), position + 5):
        for lowest in range(3):
            frets = [f for f in range(start, start + 4) if (STRINGS[lowest] + f) % 12 == chord.root]
            if not frets:
                continue
            notes = [STRINGS[lowest] + frets[0]]
            for string in STRINGS[lowest + 1 :]:
                reach = [*([0] if start <= 2 else []), *range(start, start + 4)]
                tones = [string + f for f in reach if (string + f) % 12 in chord.tones]
                fresh = [tone for tone in tones if tone > notes[-1]]
                if fresh:
                    missing = [tone for tone in fresh if all(tone % 12 != note % 12 for note in notes)]
                    notes.append((missing or fresh)[0])
            missing_tones = len(set(chord.tones) - {note % 12 for note in notes})
            choices.append((missing_tones * 2 + abs(start - position) + (6 - len(notes)) * 0.4, tuple(notes)))
    return min(choices)[1]


def power(chord: Chord, lowest: int, octave: bool) -> tuple[int, ...]:
    """Root, fifth and octave on the low strings, the root at or above ``lowest``."""
    root = lowest + (chord.root - lowest) % 12
    return (root, root + chord.fifth, root + 12) if octave else (root, root + chord.fifth)


def near(pitch_class: int, pitch: float) -> int:
    """The note of a pitch class nearest to a pitch."""
    return round(pitch + ((pitch_class - pitch + 6) % 12) - 6)


def ladder(key: int, scale: Sequence[int], low: int, high: int) -> list[int]:
    """The notes of a scale from ``low`` to ``high`` inclusive."""
    return [pitch for pitch in range(low, high + 1) if (pitch - key) % 12 in scale]


def pentatonic(scale: Sequence[int]) -> tuple[int, ...]:
    """Five notes of a scale without half steps: major's where its third is major, else minor's."""
    return (0, 2, 4, 7, 9) if 4 in scale else (0, 3, 5, 7, 10)
