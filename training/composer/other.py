"""Everything else: pads and strings, stabs of brass or organ, synth figures, tunes."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from training.composer.choice import chance, draw, pick, steps
from training.composer.melody import Manner, phrases
from training.composer.sheet import Bar, Event, Sheet
from training.composer.theory import ladder, near, pentatonic, voice

STABS: Final = (
    "x.......x..x....",
    "..x...x.........",
    "x..x..x.........",
    "......x.......x.",
    "x...............",
    "x.x...........x.",
)


def pad(sheet: Sheet, bars: Sequence[Bar], random: np.random.Generator) -> list[Event]:
    """Held chords: a tone that two neighbouring chords share is tied over; or one or two lines of strings."""
    centre = random.uniform(55, 72)
    size = pick(random, (1, 2, 3, 3, 4, 4))
    deep = chance(random, 0.3)
    out: list[Event] = []
    held: dict[int, Event] = {}
    hand: tuple[int, ...] = ()
    for bar in bars:
        for span in bar.spans:
            hand = voice(span.chord, centre, hand, 4)
            notes = {*hand[-size:], *((near(span.chord.root, 43),) if deep else ())}
            for pitch in list(held):
                event = held[pitch]
                tied = (
                    pitch in notes and abs(event.beat + event.beats - span.start) < 1e-6 and event.beats < 16
                )
                if tied:
                    held[pitch] = event._replace(beats=event.beats + span.beats)
                    notes.discard(pitch)
                else:
                    out.append(held.pop(pitch))
            for pitch in notes:
                held[pitch] = Event(span.start, span.beats, pitch, 0.5 + 0.25 * bar.section.energy)
    return [*out, *held.values()]


def stabs(sheet: Sheet, bars: Sequence[Bar], random: np.random.Generator) -> list[Event]:
    """Short chords of a section in a rhythm of one or two bars; off-beats in reggae."""
    centre = random.uniform(60, 72)
    length = random.uniform(0.15, 0.5)
    offbeat = sheet.style == "reggae" and chance(random, 0.7)
    patterns: dict[str, tuple[str, str]] = {}
    out: list[Event] = []
    hand: tuple[int, ...] = ()
    for bar in bars:
        pair = patterns.setdefault(bar.section.kind, (pick(random, STABS), pick(random, (*STABS, "", ""))))
        places = steps("..x." * 4 if offbeat else pair[bar.place % 2])
        accents = sheet.grooves[bar.section.kind].accents if chance(random, 0.08) else places
        for step in accents:
            if step >= bar.steps:
                continue
            hand = voice(bar.chord(bar.start + step / 4), centre, hand, 4)
            swell = bar.last and step == accents[-1] and not offbeat
            held = bar.beats - step / 4 if swell else length
            out += [Event(bar.start + step / 4, held, p, 0.85, delay=0.002 * i) for i, p in enumerate(hand)]
    return out


def arpeggio(sheet: Sheet, bars: Sequence[Bar], random: np.random.Generator) -> list[Event]:
    """A sequencer runs through the chord over two octaves."""
    step = pick(random, (0.25, 0.25, 0.5, 1 / 3)) if sheet.tempo < 150 else 0.5
    gate = random.uniform(0.3, 1.1)
    order = draw(random, {"up": 3, "down": 2, "both": 3, "random": 1})
    low = int(random.integers(48, 66))
    gaps = pick(random, ((), (), (3,), (3, 6), (1, 4, 7)))
    out: list[Event] = []
    for bar in bars:
        for number in range(round(bar.beats / step)):
            if number % 8 in gaps:
                continue
            beat = bar.start + number * step
            chord = bar.chord(beat)
            tones = sorted({low + (tone - low) % 12 + octave for tone in chord.tones for octave in (0, 12)})
            cycle = 2 * len(tones) - 2
            place = {
                "up": number % len(tones),
                "down": -1 - number % len(tones),
                "both": min(number % cycle, cycle - number % cycle),
                "random": int(random.integers(len(tones))),
            }[order]
            out.append(Event(beat, step * gate, tones[place], 0.7 if number % 4 == 0 else 0.58))
    return out


def melody(sheet: Sheet, bars: Sequence[Bar], random: np.random.Generator) -> list[Event]:
    """A wind, a violin, a synth: a tune with room to breathe."""
    low = int(random.integers(55, 70))
    scale = pentatonic(sheet.scale) if chance(random, 0.3) else sheet.scale
    fast = 0.4 if sheet.style in ("jazz", "country", "electronic") else 0.15
    manner = Manner(low, low + 19, random.uniform(0.3, 0.8), fast, random.uniform(0.5, 2.5), 0.94, 1.0)
    return phrases(sheet, bars, scale, manner, random)


def riff(sheet: Sheet, bars: Sequence[Bar], random: np.random.Generator) -> list[Event]:
    """A figure of one or two bars that returns, in single notes or octaves, bent to the chord or not."""
    low = int(random.integers(48, 67))
    scale = ladder(sheet.key, pentatonic(sheet.scale), low, low + 17)
    octaves = chance(random, 0.25)
    follows = chance(random, 0.4)
    gate = random.uniform(0.4, 0.95)
    seeds: dict[str, int] = {}
    length = pick(random, (1, 2))
    out: list[Event] = []
    for bar in bars:
        seed = seeds.setdefault(bar.section.kind, int(random.integers(2**31)))
        same = np.random.default_rng((seed, bar.place % length))
        places = [s for s in range(bar.steps) if same.random() < (0.6, 0.12, 0.4, 0.3)[s % 4]] or [0]
        index = int(same.integers(len(scale)))
        shift = (bar.spans[0].chord.root - sheet.key + 6) % 12 - 6 if follows else 0
        for step, end in zip(places, [*places[1:], bar.steps], strict=True):
            index = int(np.clip(index + same.integers(-2, 3), 0, len(scale) - 1))
            event = Event(bar.start + step / 4, (end - step) / 4 * gate, scale[index] + shift, 0.75)
            out += [event, event._replace(pitch=event.pitch + 12)] if octaves else [event]
    return out
