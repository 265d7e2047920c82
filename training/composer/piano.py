"""Piano: chords, figures and tunes for two hands."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from training.composer.choice import chance, draw, pick, steps
from training.composer.melody import Manner, phrases
from training.composer.sheet import Bar, Event, Sheet
from training.composer.theory import Chord, near, pentatonic, voice

CHORDS: Final = {
    "rock": {"block": 3, "eighths": 3, "octaves": 2, "gospel": 1},
    "pop": {"block": 4, "eighths": 2, "syncopated": 2, "stabs": 1, "gospel": 1},
    "metal": {"block": 3, "octaves": 2},
    "funk": {"syncopated": 4, "stabs": 2, "gospel": 1},
    "electronic": {"stabs": 5, "block": 2, "syncopated": 2},
    "ballad": {"block": 4, "gospel": 2, "eighths": 1},
    "jazz": {"comping": 6, "stride": 2, "block": 0.7},
    "reggae": {"offbeat": 5, "bubble": 2, "block": 0.5},
    "country": {"block": 2, "stride": 3, "eighths": 1, "gospel": 1.5},
}
FIGURES: Final = {"broken": 3.0, "alberti": 1.5, "tenths": 2.5, "rolling": 1.5, "high": 1.0}
SYNCOPATED: Final = (
    "x..x..x...x.x...",
    "x..x..x.........",
    "..x..x..x..x..x.",
    "x.....x...x..x..",
    "x..x...x..x...x.",
)
STABS: Final = (
    "x..x..x...x..x..",
    "..x...x...x...x.",
    "x..x..x..x..x.x.",
    "x..x....x..x....",
    "...x..x....x..x.",
)


def chords(sheet: Sheet, bars: Sequence[Bar], random: np.random.Generator) -> list[Event]:
    """Chords led from one to the next, in a manner for each kind of section; the left hand has the bass."""
    centre = random.uniform(57, 68)
    left = chance(random, 0.75) and sheet.style not in ("reggae", "funk", "electronic")
    manners: dict[str, tuple[str, str]] = {}
    out: list[Event] = []
    hand: tuple[int, ...] = ()
    for bar in bars:
        kind, pattern = manners.setdefault(
            bar.section.kind, (draw(random, CHORDS[sheet.style]), pick(random, SYNCOPATED))
        )
        if kind == "stabs":
            pattern = STABS[SYNCOPATED.index(pattern)]
        for span in bar.spans:
            hand = voice(span.chord, centre, hand, 4)
            loud = 0.5 + 0.3 * bar.section.energy
            for place, beats, strength in _places(kind, pattern, bar, span.start, span.end, random):
                out += [Event(place, beats, p, loud * strength, delay=0.003 * i) for i, p in enumerate(hand)]
            if kind == "stride":
                continue
            if left or kind in ("octaves", "gospel"):
                out += _left(kind, span.start, span.beats, span.chord, loud)
        if kind == "stride":
            out += _stride(bar)
        if kind == "gospel" and chance(random, 0.4):
            out += _turn(bar, hand)
    return out


def _places(
    kind: str, pattern: str, bar: Bar, start: float, end: float, random: np.random.Generator
) -> list[tuple[float, float, float]]:
    """Draw the strokes of a chord between two beats: start, length, strength."""
    length = end - start
    if kind in ("block", "octaves"):
        return [(start, length * 0.97, 1.0)]
    if kind == "eighths":
        return [(start + i / 2, 0.47, 1.0 if i % 2 == 0 else 0.8) for i in range(round(length * 2))]
    if kind in ("offbeat", "stride"):
        if kind == "stride":
            return [(start + i, 0.4, 0.9) for i in range(round(length)) if (start - bar.start + i) % 2 == 1]
        return [(start + i + 0.5, 0.22, 1.0) for i in range(round(length))]
    if kind == "bubble":
        return [
            (start + i + place, 0.18, 0.7 + 0.3 * (place == 0.5))
            for i in range(round(length))
            for place in (0.25, 0.5, 0.75)
        ]
    if kind == "gospel":
        return [(start, min(1.4, length), 1.0), *([(start + 1.5, length - 1.5, 0.8)] if length >= 2 else [])]
    if kind == "comping":
        offered = [
            (start + i / 2, pick(random, (0.3, 0.5, 1.2)), random.uniform(0.7, 1.0))
            for i in range(round(length * 2))
        ]
        return [place for place in offered if chance(random, 0.28)] or [(start, length * 0.8, 0.9)]
    held = 0.25 if kind == "stabs" else 0.5
    struck = [bar.start + s / 4 for s in steps(pattern[: bar.steps])]
    return [(place, held, 0.95) for place in struck if start - 1e-6 <= place < end - 1e-6]


def _left(kind: str, start: float, beats: float, chord: Chord, loud: float) -> list[Event]:
    root = near(chord.root, 40)
    octave = root - 12 if root >= 39 else root + 12
    notes = (root, octave) if kind == "octaves" or root > 40 else (root,)
    every = 1.0 if kind == "octaves" else beats
    count = max(1, round(beats / every))
    return [Event(start + i * every, every * 0.95, pitch, loud) for i in range(count) for pitch in notes]


def _stride(bar: Bar) -> list[Event]:
    """Bass notes, root and fifth by turns, on one and three."""
    out = []
    for beat in range(0, bar.beats, 2):
        chord = bar.chord(bar.start + beat)
        root = near(chord.root, 40)
        out.append(Event(bar.start + beat, 0.7, root if beat == 0 else root - (12 - chord.fifth), 0.75))
    return out


def _turn(bar: Bar, hand: tuple[int, ...]) -> list[Event]:
    """A grace run of the chord upwards into the next bar."""
    notes = [*hand, hand[0] + 12][-4:]
    start = bar.start + bar.beats - 0.25 * len(notes)
    return [Event(start + i / 4, 0.25, pitch + 12, 0.55 + 0.05 * i) for i, pitch in enumerate(notes)]


def _broken(
    bar: Bar, start: float, beats: float, chord: Chord, hand: tuple[int, ...], step: float
) -> list[Event]:
    """Up the chord from the bass and down again, all held to the chord's end as with the pedal."""
    notes = [near(chord.root, 43), *hand, hand[0] + 12]
    path = [*range(len(notes)), *range(len(notes) - 2, 0, -1)]
    return [
        Event(start + i * step, beats - i * step, notes[path[i % len(path)]], 0.75 if i == 0 else 0.6)
        for i in range(round(beats / step))
    ]


def _alberti(
    bar: Bar, start: float, beats: float, chord: Chord, hand: tuple[int, ...], step: float
) -> list[Event]:
    order = (0, len(hand) - 1, min(1, len(hand) - 1), len(hand) - 1)
    return [
        Event(start + i * step, step * 1.1, hand[order[i % 4]], 0.7 if i % 4 == 0 else 0.55)
        for i in range(round(beats / step))
    ]


def _tenths(
    bar: Bar, start: float, beats: float, chord: Chord, hand: tuple[int, ...], step: float
) -> list[Event]:
    """Root, fifth, octave, tenth in the left hand, the chord above it on the beat: a ballad's figure."""
    root = near(chord.root, 42)
    notes = (root, root + chord.fifth, root + 12, root + 12 + (3 if chord.minor else 4))
    line = [
        Event(start + i * step, beats - i * step, notes[min(i, 3)], 0.6)
        for i in range(min(4, round(beats / step)))
    ]
    return line + [Event(start, beats, pitch, 0.55, delay=0.004 * i) for i, pitch in enumerate(hand)]


def _rolling(
    bar: Bar, start: float, beats: float, chord: Chord, hand: tuple[int, ...], step: float
) -> list[Event]:
    out = []
    for i in range(round(beats / step)):
        notes = hand[1:] if i % 2 else hand[:1]
        out += [Event(start + i * step, step * 1.8, pitch, 0.6 if i % 2 else 0.68) for pitch in notes]
    return out


def _high(
    bar: Bar, start: float, beats: float, chord: Chord, hand: tuple[int, ...], step: float
) -> list[Event]:
    notes = [pitch + 12 for pitch in hand][::-1]
    return [
        Event(start + i * step, beats - i * step, notes[i % len(notes)], 0.6)
        for i in range(round(beats / step))
    ]


Figure = Callable[[Bar, float, float, Chord, tuple[int, ...], float], list[Event]]
MAKERS: Final[dict[str, Figure]] = {
    "broken": _broken,
    "alberti": _alberti,
    "tenths": _tenths,
    "rolling": _rolling,
    "high": _high,
}


def arpeggio(sheet: Sheet, bars: Sequence[Bar], random: np.random.Generator) -> list[Event]:
    """Broken chords in a figure for each kind of section."""
    centre = random.uniform(55, 67)
    step = 0.5 if sheet.tempo > 100 else pick(random, (0.5, 0.25, 1 / 3))
    figures: dict[str, str] = {}
    out: list[Event] = []
    hand: tuple[int, ...] = ()
    for bar in bars:
        figure = figures.setdefault(bar.section.kind, draw(random, FIGURES))
        for span in bar.spans:
            hand = voice(span.chord, centre, hand, 4)
            line = MAKERS[figure](bar, span.start, span.beats, span.chord, hand, step)
            out += [
                event._replace(velocity=event.velocity * (0.8 + 0.3 * bar.section.energy)) for event in line
            ]
    return out


def melody(sheet: Sheet, bars: Sequence[Bar], random: np.random.Generator) -> list[Event]:
    """A tune in the right hand, now and then in octaves."""
    low = int(random.integers(60, 70))
    scale = pentatonic(sheet.scale) if chance(random, 0.4) else sheet.scale
    manner = Manner(low, low + 19, random.uniform(0.35, 0.8), 0.25, random.uniform(0.5, 2.5), 0.95, 1.0)
    line = phrases(sheet, bars, scale, manner, random)
    if chance(random, 0.35):
        line += [event._replace(pitch=event.pitch + 12, velocity=event.velocity * 0.85) for event in line]
    return line
