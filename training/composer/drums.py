"""The drum kit: grooves with ghost notes, fills, crashes, and a bar that begins anew."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from training.composer.choice import chance, draw, pick
from training.composer.sheet import Bar, Event, Groove, Sheet

KICK, STICK, SNARE, CLAP, RIM = 36, 37, 38, 39, 40  # RIM: the second, brighter snare
CLOSED, PEDAL, OPEN = 42, 44, 46
CRASHES: Final = (49, 57, 55, 49)
RIDE, CHINA, BELL = 51, 52, 53
SOFT: Final = ("verse", "intro", "break")
TOMS: Final = (50, 48, 47, 45, 43, 41)


def play(sheet: Sheet, bars: Sequence[Bar], random: np.random.Generator) -> list[Event]:
    """The kit's part in the given bars."""
    out: list[Event] = []
    soft_snare = sheet.style in ("ballad", "reggae", "country", "jazz") and chance(random, 0.45)
    ghosts = random.uniform(0, 0.35) * (2.0 if sheet.style == "funk" else 0.7)
    busy = random.uniform(0.3, 0.9)
    snare = draw(random, {SNARE: 6, RIM: 2, CLAP: 3 if sheet.style == "electronic" else 0})
    machine = sheet.style == "electronic"
    before = -1.0
    for bar in bars:
        groove = sheet.grooves[bar.section.kind]
        fill = (bar.last and chance(random, 0.3 if machine else 0.75)) or chance(random, 0.04)
        length = pick(random, (4, 4, 8, 8, bar.steps)) if fill else 0
        until = bar.steps - min(length, bar.steps)
        hit = bar.place == 0 or abs(before - bar.start) > 0.1 or (bar.place % 8 == 0)
        if hit and chance(random, 0.85 if not machine else 0.4) and sheet.style != "jazz":
            out.append(Event(bar.start, 2.0, pick(random, CRASHES), 0.75 + 0.2 * bar.section.energy))
        out += _feet(bar, groove, until, busy, random)
        out += _backbeat(
            bar, groove, until, STICK if soft_snare and bar.section.kind in SOFT else snare, ghosts, random
        )
        out += _time(bar, groove, until, sheet.style, random)
        if fill:
            out += _fill(bar, until, sheet.style, random)
        before = bar.start + bar.beats
    return out


def _feet(bar: Bar, groove: Groove, until: int, busy: float, random: np.random.Generator) -> list[Event]:
    out = []
    for step in groove.kick:
        if step < until and (step == 0 or chance(random, 0.97)):
            dense = len(groove.kick) > 9
            out.append(
                Event(bar.start + step / 4, 0.25, KICK, (0.78 if dense else 0.88) + 0.06 * (step % 8 == 0))
            )
    if chance(random, 0.18 * busy) and not groove.time.startswith(("swing", "brushes")):
        extra = pick(random, (3, 6, 7, 10, 11, 14))
        if extra < until and extra not in groove.kick and extra not in groove.snare:
            out.append(Event(bar.start + extra / 4, 0.25, KICK, 0.7))
    return out


def _backbeat(
    bar: Bar, groove: Groove, until: int, key: int, ghosts: float, random: np.random.Generator
) -> list[Event]:
    loud = 0.72 + 0.22 * bar.section.energy
    out = []
    for step in groove.snare:
        if step < until:
            out.append(Event(bar.start + step / 4, 0.25, key, loud))
            if key in (SNARE, RIM) and chance(random, 0.03):
                out.append(Event(bar.start + step / 4 - 0.06, 0.1, key, 0.3, True))
    if key in (SNARE, RIM) and groove.time not in ("swing", "brushes"):
        for step in range(1, min(until, bar.steps), 2):
            if step not in groove.snare and step not in groove.kick and chance(random, ghosts * 0.5):
                out.append(Event(bar.start + step / 4, 0.2, key, random.uniform(0.15, 0.32), True))
    return out


def _time(bar: Bar, groove: Groove, until: int, style: str, random: np.random.Generator) -> list[Event]:
    """Hats and cymbals; in a loud section a kit that keeps time on the hat may open it."""
    loud = 0.5 + 0.3 * bar.section.energy
    key = CLOSED
    time = groove.time
    if time == "none":
        return []
    if time == "train":
        return [
            Event(
                bar.start + s / 4, 0.2, SNARE, 0.62 if s % 4 == 2 else random.uniform(0.22, 0.36), s % 4 != 2
            )
            for s in range(until)
            if s not in groove.snare
        ]
    if time == "toms":
        return [
            Event(bar.start + s / 4, 0.4, 41 if s % 4 else 43, loud + 0.1 * (s % 4 == 0))
            for s in range(0, until, 2)
        ]
    if time in ("swing", "brushes"):
        return _swing(bar, until, time, random)
    if time == "triplets":
        return [
            Event(bar.start + i / 3, 0.2, CLOSED, loud * (1, 0.6, 0.75)[i % 3])
            for i in range(bar.beats * 3)
            if i % 3 != 1 and i * 4 / 3 < until
        ]
    if time in ("ride", "open", "china"):
        key = {"ride": RIDE, "open": OPEN, "china": CHINA}[time]
    every = {"sixteenths": 1, "trap": 1, "eighths": 2, "ride": 2, "quarters": 4, "china": 4}.get(time, 2)
    if time == "open" and style == "metal":
        every = 4
    out = []
    for step in range(2 if time == "offbeat" else 0, until, 4 if time == "offbeat" else every):
        accent = (1.0, 0.55, 0.78, 0.55)[step % 4]
        here = key
        if time == "offbeat" and style == "electronic":
            here, accent = OPEN, 1.0
        elif time == "ride" and step % 8 == 0 and chance(random, 0.15):
            here = BELL
        elif key == CLOSED and step % 4 == 2 and chance(random, 0.06 + 0.12 * (step == bar.steps - 2)):
            here = OPEN
        if every == 1 and step in groove.snare and chance(random, 0.6):
            continue
        out.append(Event(bar.start + step / 4, 0.2 if here == CLOSED else 0.5, here, loud * accent))
        if time == "trap" and chance(random, 0.12):
            parts = pick(random, (2, 3, 4))
            out += [
                Event(bar.start + step / 4 + i / 4 / parts, 0.06, CLOSED, loud * 0.6) for i in range(1, parts)
            ]
    if time == "ride" and chance(random, 0.5):
        out += [Event(bar.start + beat, 0.2, PEDAL, 0.4) for beat in range(1, until // 4, 2)]
    return out


def _swing(bar: Bar, until: int, time: str, random: np.random.Generator) -> list[Event]:
    """The ride's ding ding-a-ding with the hat on two and four, snare and bass drum commenting."""
    key = RIDE if time == "swing" else SNARE
    out = []
    for beat in range(until // 4):
        out.append(Event(bar.start + beat, 0.5, key, 0.62 + 0.08 * (beat % 2), key == SNARE))
        if (beat % 2 and chance(random, 0.9)) or chance(random, 0.12):
            out.append(Event(bar.start + beat + 0.5, 0.3, key, 0.5, key == SNARE))
        if beat % 2 or (bar.beats == 3 and beat):
            out.append(Event(bar.start + beat, 0.2, PEDAL, 0.5))
        if chance(random, 0.18):
            loud = random.uniform(0.2, 0.65)
            comment = pick(random, (SNARE, SNARE, KICK, STICK))
            out.append(Event(bar.start + beat + 0.5, 0.2, comment, loud, comment == SNARE and loud < 0.35))
    return out


def _fill(bar: Bar, start: int, style: str, random: np.random.Generator) -> list[Event]:
    """From a step to the end of the bar: rolls round the toms, snare rolls, flams, gaps."""
    kind = draw(random, {"toms": 4, "roll": 2, "mixed": 3, "stop": 0.8, "build": 0.8})
    length = bar.steps - start
    if kind == "stop":
        return [Event(bar.start + (bar.steps - 1 - i) / 4, 0.25, SNARE, 0.85) for i in range(min(2, length))]
    if kind == "build":
        return [
            Event(bar.start + s / 4, 0.2, SNARE, 0.45 + 0.5 * s / bar.steps) for s in range(start, bar.steps)
        ]
    out = []
    triplets = style in ("jazz", "ballad", "reggae") and chance(random, 0.5)
    count = length * 3 // 4 if triplets else length
    for i in range(count):
        place = bar.start + start / 4 + i * (length / 4 / max(count, 1))
        if i and chance(random, 0.12 if kind != "mixed" else 0.3):
            continue
        if kind == "roll":
            key = SNARE
        elif kind == "toms":
            key = SNARE if i < count / 4 else TOMS[min(5, int(6 * i / count))]
        else:
            key = pick(random, (SNARE, KICK, *TOMS[:5]))
        out.append(Event(place, 0.2, key, 0.6 + 0.3 * i / count + 0.08 * (i % 2 == 0)))
    return out
