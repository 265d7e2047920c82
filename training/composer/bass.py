"""Bass lines."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from training.composer.choice import chance, draw, pick
from training.composer.sheet import Bar, Event, Sheet
from training.composer.theory import Chord, ladder, near

LOW: Final = 28
KINDS: Final = {
    "rock": {"eighths": 4, "kick": 3, "riff": 3, "octaves": 0.7, "roots": 1, "walk": 0.4, "melodic": 1},
    "pop": {"eighths": 3, "kick": 4, "roots": 2, "octaves": 1.5, "syncopated": 2, "melodic": 1},
    "metal": {"riff": 6, "eighths": 2, "kick": 2, "gallop": 1},
    "funk": {"slap": 4, "syncopated": 3, "kick": 2, "octaves": 1.5, "melodic": 1},
    "electronic": {"offbeat": 2.5, "sub": 2.5, "octaves": 2, "riff": 2, "sixteenths": 2, "kick": 1},
    "ballad": {"roots": 5, "kick": 3, "eighths": 1, "melodic": 1.5},
    "jazz": {"walk": 7, "two": 2, "melodic": 0.7},
    "reggae": {"reggae": 7, "syncopated": 1, "roots": 0.5},
    "country": {"two": 6, "walk": 1.2, "eighths": 1, "roots": 1},
}
HELD: Final = ("sub", "walk", "roots")
REGGAE: Final = (
    (0, 1.5, 2.0, 3.0),
    (0, 0.5, 1.0, 2.5, 3.0, 3.5),
    (1.0, 1.5, 2.0, 3.0),
    (0, 0.75, 1.5, 2.5),
    (0, 1.0, 1.5, 2.0, 3.5),
    (0.5, 1.0, 2.5, 3.0),
)


def play(sheet: Sheet, bars: Sequence[Bar], random: np.random.Generator) -> list[Event]:
    """A line for each kind of section, in the register of a four-string bass (now and then down to B)."""
    low = LOW - (5 if chance(random, 0.25 if sheet.style in ("metal", "electronic") else 0.08) else 0)
    staccato = random.uniform(0.55, 1.0)
    fills = random.uniform(0.05, 0.35)
    lines: dict[str, tuple[str, int]] = {}
    out: list[Event] = []
    for number, bar in enumerate(bars):
        kind, seed = lines.setdefault(
            bar.section.kind, (draw(random, KINDS[sheet.style]), int(random.integers(2**31)))
        )
        after = bars[number + 1] if number + 1 < len(bars) else bar
        # The same seed for every other bar: a line is a pattern that returns.
        same = np.random.default_rng((seed, bar.place % 2)) if kind not in ("walk", "melodic") else random
        line = LINES[kind](sheet, bar, after.spans[0].chord, low, same)
        if (bar.last or chance(random, 0.08)) and kind not in ("sub", "walk") and chance(random, fills):
            line = _fill(sheet, bar, line, after.spans[0].chord, low, random)
        out += [
            event._replace(beats=max(0.1, event.beats * (1 if kind in HELD else staccato))) for event in line
        ]
    return out


def _root(chord: Chord, low: int) -> int:
    """The chord's root in the lowest octave of the instrument."""
    return low + (chord.root - low) % 12


def _grid(bar: Bar, places: Sequence[float], low: int, jump: Callable[[Chord], int]) -> list[Event]:
    """Notes at the given quarters of a bar, each until the next; ``jump`` gives semitones above the root."""
    places = [place for place in places if place < bar.beats]
    out = []
    for place, end in zip(places, [*places[1:], bar.beats], strict=True):
        chord = bar.chord(bar.start + place)
        out.append(
            Event(
                bar.start + place,
                end - place,
                _root(chord, low) + jump(chord),
                0.85 if place % 2 == 0 else 0.75,
            )
        )
    return out


def _eighths(sheet: Sheet, bar: Bar, after: Chord, low: int, random: np.random.Generator) -> list[Event]:
    return _grid(bar, np.arange(0, bar.beats, 0.5).tolist(), low, lambda chord: 0)


def _sixteenths(sheet: Sheet, bar: Bar, after: Chord, low: int, random: np.random.Generator) -> list[Event]:
    rest = pick(random, ((0,), (), (0, 2)))
    places = [s / 4 for s in range(bar.steps) if s % 4 not in rest]
    return _grid(bar, places, low, lambda chord: pick(random, (0, 0, 0, 12)))


def _roots(sheet: Sheet, bar: Bar, after: Chord, low: int, random: np.random.Generator) -> list[Event]:
    places = sorted(
        {span.start - bar.start for span in bar.spans} | set(pick(random, ((), (), (2,), (1.5,), (2.5,))))
    )
    return _grid(bar, places, low, lambda chord: 0)


def _sub(sheet: Sheet, bar: Bar, after: Chord, low: int, random: np.random.Generator) -> list[Event]:
    return [Event(span.start, span.beats, _root(span.chord, low), 0.8) for span in bar.spans]


def _kick(sheet: Sheet, bar: Bar, after: Chord, low: int, random: np.random.Generator) -> list[Event]:
    kick = sorted({0, *sheet.grooves[bar.section.kind].kick})
    return _grid(bar, [s / 4 for s in kick], low, lambda chord: pick(random, (0, 0, 0, 0, 12, chord.fifth)))


def _riff(sheet: Sheet, bar: Bar, after: Chord, low: int, random: np.random.Generator) -> list[Event]:
    return _grid(bar, [s / 4 for s in sheet.grooves[bar.section.kind].accents], low, lambda chord: 0)


def _gallop(sheet: Sheet, bar: Bar, after: Chord, low: int, random: np.random.Generator) -> list[Event]:
    return _grid(bar, [s / 4 for s in range(bar.steps) if s % 4 != 1], low, lambda chord: 0)


def _octaves(sheet: Sheet, bar: Bar, after: Chord, low: int, random: np.random.Generator) -> list[Event]:
    line = _grid(bar, np.arange(0, bar.beats, 0.5).tolist(), low, lambda chord: 0)
    return [e._replace(pitch=e.pitch + 12 * (i % 2), beats=e.beats * 0.8) for i, e in enumerate(line)]


def _offbeat(sheet: Sheet, bar: Bar, after: Chord, low: int, random: np.random.Generator) -> list[Event]:
    return _grid(bar, [beat + 0.5 for beat in range(bar.beats)], low, lambda chord: 0)


def _two(sheet: Sheet, bar: Bar, after: Chord, low: int, random: np.random.Generator) -> list[Event]:
    """Root and fifth in half notes, as in country and two-beat jazz."""
    line = _grid(bar, [0, 2] if bar.beats == 4 else [0], low, lambda chord: 0)
    if len(line) == 2:
        chord = bar.chord(bar.start + 2)
        fifth = line[1].pitch + chord.fifth
        line[1] = line[1]._replace(pitch=fifth - 12 if fifth - 12 >= low else fifth)
    return [event._replace(beats=event.beats * 0.7) for event in line]


def _walk(sheet: Sheet, bar: Bar, after: Chord, low: int, random: np.random.Generator) -> list[Event]:
    """Quarters: root, tones of chord and scale, and a half step or fifth into the next bar's root."""
    target = _root(after, low)
    pitch = _root(bar.spans[0].chord, low)
    out = []
    for beat in range(bar.beats):
        chord = bar.chord(bar.start + beat)
        if any(abs(span.start - bar.start - beat) < 1e-6 for span in bar.spans):
            pitch = _root(chord, low) + (12 if chance(random, 0.2) else 0)
        elif beat == bar.beats - 1:
            pitch = target + pick(random, (-1, 1, 2, -2, 7))
        else:
            options = [p for p in range(low, low + 22) if (p - chord.root) % 12 in (*chord.intervals, 2)]
            close = [p for p in options if 0 < abs(p - pitch) <= 5] or options
            pitch = pick(random, close)
        pitch = max(pitch, low)
        out.append(Event(bar.start + beat, 1.0, pitch, 0.8 + 0.05 * (beat % 2)))
        if chance(random, 0.08):
            out[-1] = out[-1]._replace(beats=0.5)
            out.append(Event(bar.start + beat + 0.5, 0.4, pitch, 0.55, chance(random, 0.5)))
    return out


def _syncopated(sheet: Sheet, bar: Bar, after: Chord, low: int, random: np.random.Generator) -> list[Event]:
    places = [s / 4 for s in range(bar.steps) if s == 0 or chance(random, (0.15, 0.12, 0.4, 0.3)[s % 4])]
    line = _grid(bar, places, low, lambda chord: pick(random, (0, 0, 0, 12, chord.fifth, 10)))
    return [e._replace(beats=e.beats * pick(random, (0.5, 0.9))) for e in line]


def _slap(sheet: Sheet, bar: Bar, after: Chord, low: int, random: np.random.Generator) -> list[Event]:
    """Thumbed roots, popped octaves and sevenths, dead notes between."""
    out = []
    for s in range(bar.steps):
        chord = bar.chord(bar.start + s / 4)
        root = _root(chord, low)
        if s == 0 or (s % 4 == 0 and chance(random, 0.4)) or chance(random, 0.12):
            out.append(Event(bar.start + s / 4, 0.35, root, 0.9))
        elif s % 4 in (2, 3) and chance(random, 0.4):
            out.append(Event(bar.start + s / 4, 0.2, root + pick(random, (12, 12, 10, 7)), 0.95))
        elif chance(random, 0.3):
            out.append(Event(bar.start + s / 4, 0.12, root, 0.5, True))
    return out


def _reggae(sheet: Sheet, bar: Bar, after: Chord, low: int, random: np.random.Generator) -> list[Event]:
    return _grid(
        bar,
        pick(random, REGGAE),
        low,
        lambda chord: pick(random, (0, 0, *chord.intervals[:3], chord.fifth, 12)),
    )


def _melodic(sheet: Sheet, bar: Bar, after: Chord, low: int, random: np.random.Generator) -> list[Event]:
    scale = ladder(sheet.key, sheet.scale, low, low + 22)
    places = [0.0, *(p / 2 for p in range(1, bar.beats * 2) if chance(random, 0.55))]
    line = _grid(bar, places, low, lambda chord: 0)
    here = line[0].pitch
    for i, event in enumerate(line[1:], 1):
        here = pick(random, [p for p in scale if abs(p - here) <= 4] or [here])
        line[i] = event._replace(pitch=here)
    return line


def _fill(
    sheet: Sheet, bar: Bar, line: list[Event], after: Chord, low: int, random: np.random.Generator
) -> list[Event]:
    """The last beats of a bar become a run into the next root."""
    start = bar.start + bar.beats - pick(random, (1.0, 2.0))
    scale = ladder(sheet.key, sheet.scale, low, low + 24)
    goal = near(after.root, low + 8)
    count = int((bar.start + bar.beats - start) * 2)
    up = chance(random, 0.5)
    path = [p for p in scale if p < goal][-count:] if up else [p for p in scale if p > goal][:count][::-1]
    run = [Event(start + i / 2, 0.5, pitch, 0.8) for i, pitch in enumerate(path)]
    return [event for event in line if event.beat < start - 1e-6] + run


Line = Callable[[Sheet, Bar, Chord, int, np.random.Generator], list[Event]]
LINES: Final[dict[str, Line]] = {
    "eighths": _eighths,
    "sixteenths": _sixteenths,
    "roots": _roots,
    "sub": _sub,
    "kick": _kick,
    "riff": _riff,
    "gallop": _gallop,
    "octaves": _octaves,
    "offbeat": _offbeat,
    "two": _two,
    "walk": _walk,
    "syncopated": _syncopated,
    "slap": _slap,
    "reggae": _reggae,
    "melodic": _melodic,
}
