"""Guitars that accompany: strums, riffs, skanks, picked chords."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from training.composer.choice import chance, draw, pick, steps
from training.composer.sheet import Bar, Event, Sheet
from training.composer.theory import fret, ladder, power

# d: down, u: up, m: muted down, .: the chord rings on
STRUMS: Final = {
    "rock": (
        "d.d.d.d.d.d.d.d.",
        "d...d.u...u.d.u.",
        "d.......d.......",
        "d..d..d...d.d.u.",
        "d...............",
        "d.m.d.m.d.m.d.u.",
    ),
    "pop": (
        "d...d.u...u.d.u.",
        "d.......d.u.d...",
        "d..d..d...u.d.u.",
        "d...d...d.u.d.u.",
        "d..d..d.........",
        "m.d.m.u.m.d.m.u.",
    ),
    "metal": ("d...............", "d.......d.......", "d.d.d.d.d.d.d.d.", "d..d..d..d..d.d."),
    "funk": (
        "mumudumumudumumu",
        "..du..mu.mdu..mu",
        "d..u.mumd..u.mum",
        "mmdummumm.dummum",
        "..d...d...d...du",
    ),
    "electronic": ("d...............", "d..d..d...d..d..", "..d...d...d...d."),
    "ballad": ("d...............", "d.......d.u.d...", "d...d.u...u.d...", "d.......d......."),
    "jazz": (
        "d...d...d...d...",
        "d.....d.........",
        "......d.......d.",
        "d..d............",
        "d...d.u.d...d.u.",
    ),
    "reggae": ("..d...d...d...d.", "....d.......d...", "....du......du.."),
    "country": (
        "d...d.u.d...d.u.",
        "..d...d...d...d.",
        "d.d.d.u.d.d.d.u.",
        "d...dudud...dudu",
        "....d.u.....d.u.",
    ),
}
FULL: Final = {"rock": 0.35, "metal": 0.9, "pop": 0.1}


def _strike(
    notes: Sequence[int], beat: float, beats: float, loud: float, sign: str, gap: float
) -> list[Event]:
    """One stroke over the strings, ``gap`` seconds from string to string; up strokes miss the low ones."""
    strings = list(notes) if sign != "u" else list(notes)[::-1][:4]
    soft = {"d": 1.0, "u": 0.8, "m": 0.55}[sign]
    return [
        Event(beat, beats, pitch, loud * soft * (1 - 0.03 * i), sign == "m", i * gap)
        for i, pitch in enumerate(strings)
    ]


def strum(sheet: Sheet, bars: Sequence[Bar], random: np.random.Generator) -> list[Event]:
    """Chords strummed in a pattern for each kind of section; power chords where the style is loud."""
    heavy = chance(random, FULL.get(sheet.style, 0.0))
    position = pick(random, (0, 0, 0, 2, 5, 7) if sheet.style != "funk" else (3, 5, 7, 8))
    gap = random.uniform(0.004, 0.016) if sheet.tempo < 130 else random.uniform(0.003, 0.009)
    clipped = sheet.style in ("funk", "jazz") or chance(random, 0.1)
    patterns: dict[str, str] = {}
    out: list[Event] = []
    for bar in bars:
        pattern = patterns.setdefault(bar.section.kind, pick(random, STRUMS[sheet.style]))[: bar.steps]
        struck = sorted({*steps(pattern), *(round((span.start - bar.start) * 4) for span in bar.spans)})
        if sheet.style in ("funk", "reggae") or heavy:
            struck = list(steps(pattern))
        for step, end in zip(struck, [*struck[1:], bar.steps], strict=True):
            sign = pattern[step] if pattern[step] != "." else "d"
            chord = bar.chord(bar.start + step / 4)
            notes = power(chord, 40, True) if heavy else fret(chord, position)
            if sheet.style in ("funk", "jazz"):
                notes = notes[-4:]
            loud = 0.6 + 0.25 * bar.section.energy + 0.08 * (step % 8 == 0)
            held = (end - step) / 4 if sign != "m" else 0.1
            out += _strike(notes, bar.start + step / 4, held * (0.55 if clipped else 1.0), loud, sign, gap)
    return out


def skank(sheet: Sheet, bars: Sequence[Bar], random: np.random.Generator) -> list[Event]:
    """Short chords high on the neck on the off-beats (or the backbeat, or with an upstroke after)."""
    kind = draw(
        random,
        {"offbeat": 4, "backbeat": 3, "double": 2}
        if sheet.style == "reggae"
        else {"offbeat": 2, "backbeat": 1},
    )
    position = pick(random, (3, 5, 7, 8))
    gap = random.uniform(0.002, 0.008)
    held = random.uniform(0.1, 0.25)
    out: list[Event] = []
    for bar in bars:
        for beat in range(bar.beats):
            places = {"offbeat": (0.5,), "backbeat": (0.0,) if beat % 2 else (), "double": (0.5, 0.75)}[kind]
            for place in places:
                notes = fret(bar.chord(bar.start + beat + place), position)[-4:]
                sign = "u" if place == 0.75 else "d"
                out += _strike(notes, bar.start + beat + place, held, 0.75, sign, gap)
        if chance(random, 0.06):
            out += _strike(
                fret(bar.spans[-1].chord, position)[-4:], bar.start + bar.beats - 0.25, 0.08, 0.4, "m", gap
            )
    return out


def riff(sheet: Sheet, bars: Sequence[Bar], random: np.random.Generator) -> list[Event]:
    """Power chords on the accents and palm-muted low notes between, or a single-note figure of the scale."""
    lowest = (
        pick(random, (40, 40, 38, 36, 35, 33)) if sheet.style == "metal" else pick(random, (40, 40, 40, 38))
    )
    share = {"metal": 0.75, "rock": 0.55}.get(sheet.style, 0.15)
    chugs: dict[str, bool] = {}
    seeds: dict[str, int] = {}
    out: list[Event] = []
    for bar in bars:
        kind = bar.section.kind
        chug = chugs.setdefault(kind, chance(random, share))
        seed = seeds.setdefault(kind, int(random.integers(2**31)))
        same = np.random.default_rng((seed, bar.place % 2))
        out += _chug(sheet, bar, lowest, same) if chug else _figure(sheet, bar, lowest, same)
    return out


def _chug(sheet: Sheet, bar: Bar, lowest: int, random: np.random.Generator) -> list[Event]:
    accents = sheet.grooves[bar.section.kind].accents
    open_share, pedal = random.uniform(0.2, 0.7), chance(random, 0.5)
    between = chance(random, 0.35) and sheet.tempo < 170
    struck = sorted({*accents, *(range(0, bar.steps, 2) if between else ())})
    out = []
    for step, end in zip(struck, [*struck[1:], bar.steps], strict=True):
        chord = bar.chord(bar.start + step / 4)
        rings = step in accents and (step == 0 or end - step > 2 or chance(random, open_share))
        beat, beats = bar.start + step / 4, (end - step) / 4
        if rings:
            out += _strike(power(chord, lowest, chance(random, 0.6)), beat, beats * 0.97, 0.9, "d", 0.002)
        else:
            root = lowest + (sheet.key - lowest) % 12 if pedal else power(chord, lowest, False)[0]
            notes = (root,) if chance(random, 0.5) else (root, root + 7)
            out += [Event(beat, beats * 0.7, pitch, 0.75, True) for pitch in notes]
    return out


def _figure(sheet: Sheet, bar: Bar, lowest: int, random: np.random.Generator) -> list[Event]:
    """Single notes or fifths near the chord's root."""
    accents = sheet.grooves[bar.section.kind].accents or (0,)
    raised = 0 if sheet.style in ("metal", "rock") else 12
    root = lowest + raised + (bar.spans[0].chord.root - lowest) % 12
    scale = ladder(sheet.key, sheet.scale, max(lowest, root - 5), root + 13)
    doubled = chance(random, 0.2)
    here = root
    out = []
    for step, end in zip(accents, [*accents[1:], bar.steps], strict=True):
        here = root if step == 0 else pick(random, [p for p in scale if abs(p - here) <= 5] or [root])
        beats = (end - step) / 4 * 0.9
        muted = chance(random, 0.25)
        out.append(Event(bar.start + step / 4, beats * (0.6 if muted else 1), here, 0.82, muted))
        if doubled and not muted:
            out.append(Event(bar.start + step / 4, beats, here + 7, 0.75, False, 0.002))
    return out


ROLLS: Final = (
    (0, 2, 3, 4, 3, 2, 3, 2),
    (0, 3, 2, 4, 0, 3, 2, 4),
    (0, 1, 2, 3, 4, 3, 2, 1),
    (0, 3, 1, 4, 2, 3, 1, 4),
    (0, 2, 3, 2, 4, 2, 3, 2),
    (0, 4, 3, 2, 0, 4, 3, 2),
    (4, 3, 2, 3, 4, 3, 2, 3),
)


def arpeggio(sheet: Sheet, bars: Sequence[Bar], random: np.random.Generator) -> list[Event]:
    """Chords picked string by string; strings ring until the chord changes."""
    step = pick(random, (0.5, 0.5, 0.25) if sheet.tempo < 120 else (0.5,))
    step = 1 / 3 if sheet.style == "ballad" and chance(random, 0.3) else step
    position = pick(random, (0, 0, 0, 3, 5, 7))
    travis = sheet.style == "country" and chance(random, 0.6)
    orders: dict[str, tuple[int, ...]] = {}
    out: list[Event] = []
    for bar in bars:
        order = orders.setdefault(bar.section.kind, pick(random, ROLLS))
        for number in range(round(bar.beats / step)):
            beat = bar.start + number * step
            chord = bar.chord(beat)
            notes = fret(chord, position)
            end = next(span.end for span in bar.spans if beat < span.end - 1e-6)
            if travis and number % 2 == 0:
                pitch = notes[0] if number % 4 == 0 else notes[min(1, len(notes) - 1)]
            else:
                pitch = notes[min(order[number % 8], len(notes) - 1)]
            loud = 0.6 + 0.15 * (number % 4 == 0) + 0.1 * bar.section.energy
            out.append(Event(beat, min(2.0, end - beat) if not travis else step * 1.5, pitch, loud))
    return out
