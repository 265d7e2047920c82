"""Guitar leads: tunes, fast runs, licks that repeat, double-stops, country picking."""

from collections.abc import Sequence

import numpy as np

from training.composer.choice import chance, draw, pick
from training.composer.melody import Manner, groups, on_chord, phrases
from training.composer.sheet import Bar, Event, Sheet
from training.composer.theory import ladder, pentatonic


def lead(sheet: Sheet, bars: Sequence[Bar], random: np.random.Generator) -> list[Event]:
    """Solos are dense and fast, elsewhere the lead plays sparse fills."""
    low = int(random.integers(50, 60))
    high = low + int(random.integers(22, 30))
    scale = pentatonic(sheet.scale) if chance(random, 0.6) else sheet.scale
    solo = [bar for bar in bars if bar.section.kind in ("solo", "intro", "break")]
    fill = [bar for bar in bars if bar.section.kind in ("verse", "chorus")]
    shred = {"metal": 0.7, "rock": 0.45, "country": 0.5, "jazz": 0.5, "funk": 0.4}.get(sheet.style, 0.2)
    out = []
    for stretch in groups(solo, 2):
        if chance(random, shred):
            out += _run(sheet, stretch, ladder(sheet.key, scale, low, high), random)
        else:
            manner = Manner(low, high, random.uniform(0.5, 0.95), 0.5, random.uniform(0.3, 1.0), 0.95, 1.0)
            out += phrases(sheet, stretch, scale, manner, random)
    sparse = Manner(low, high, random.uniform(0.3, 0.6), 0.2, random.uniform(1.5, 4.0), 0.95, 0.8)
    out += phrases(sheet, fill, scale, sparse, random)
    return _doubled(sheet, out, random) if chance(random, 0.2) else out


def _run(sheet: Sheet, bars: Sequence[Bar], notes: Sequence[int], random: np.random.Generator) -> list[Event]:
    """Sequences up and down the scale, or a short lick again and again, ending on a held note of the chord."""
    first, last = bars[0], bars[-1]
    total = last.start + last.beats - first.start
    step = pick(random, (0.25, 0.25, 1 / 3, 1 / 6)) if sheet.tempo < 130 else pick(random, (0.25, 0.5, 1 / 3))
    if 60 / sheet.tempo * step < 0.06:
        step = 0.25
    hold = random.uniform(0.5, 2.0)
    count = int((total - hold) / step)
    kind = draw(random, {"scale": 3, "groups": 3, "lick": 3})
    index = int(random.integers(2, len(notes) - 2))
    direction = pick(random, (-1, 1))
    lick = [int(i) for i in random.integers(-2, 4, pick(random, (3, 4, 4, 6)))]
    pitches = []
    for i in range(count):
        if kind == "lick":
            place = index + lick[i % len(lick)] + (i // (4 * len(lick))) * direction
        elif kind == "groups":
            place = index + direction * (i // 4 + i % 4)
        else:
            place = index + direction * i
        span = 2 * (len(notes) - 1)
        place %= span
        pitches.append(notes[min(place, span - place)])
    out = [
        Event(first.start + i * step, step * 0.95, pitch, 0.72 + 0.12 * (i % 4 == 0))
        for i, pitch in enumerate(pitches)
    ]
    beat = first.start + count * step
    end = on_chord(
        last.chord(beat), pitches[-1] if pitches else notes[len(notes) // 2], notes[0] - 6, notes[-1] + 6
    )
    return [*out, Event(beat, hold * 0.9, end, 0.9)]


def _doubled(sheet: Sheet, line: Sequence[Event], random: np.random.Generator) -> list[Event]:
    """Some notes become double-stops: a third or a fourth of the scale above."""
    skip = pick(random, (2, 3))
    out = []
    for event in line:
        out.append(event)
        if event.beats > 0.3 and chance(random, 0.6):
            notes = ladder(sheet.key, sheet.scale, event.pitch + 1, event.pitch + 9)
            out.append(event._replace(pitch=notes[skip - 1], velocity=event.velocity * 0.9, delay=0.004))
    return out
