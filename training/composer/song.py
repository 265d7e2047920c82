"""Puts a song together: style, form, harmony, players."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from training.composer import bass, drums, guitar, other, percussion, piano, solo, vocals
from training.composer.choice import chance, draw, pick
from training.composer.form import Player, arrangement, band, sections
from training.composer.grooves import grooves
from training.composer.harmony import progression, spread
from training.composer.performance import Clock, clock, perform
from training.composer.sheet import Bar, Event, Section, Sheet
from training.composer.styles import OFTEN, STYLES, Style
from training.composer.theory import SCALES, Chord
from training.score import STEMS, Part, Song

Plays = Callable[[Sheet, Sequence[Bar], np.random.Generator], list[Event]]
PLAYERS: Final[dict[Player, Plays]] = {
    ("drums", "kit"): drums.play,
    ("drums", "percussion"): percussion.play,
    ("bass", "line"): bass.play,
    ("guitar", "strum"): guitar.strum,
    ("guitar", "riff"): guitar.riff,
    ("guitar", "arpeggio"): guitar.arpeggio,
    ("guitar", "skank"): guitar.skank,
    ("guitar", "lead"): solo.lead,
    ("piano", "chords"): piano.chords,
    ("piano", "arpeggio"): piano.arpeggio,
    ("piano", "melody"): piano.melody,
    ("other", "pad"): other.pad,
    ("other", "stabs"): other.stabs,
    ("other", "arpeggio"): other.arpeggio,
    ("other", "melody"): other.melody,
    ("other", "riff"): other.riff,
    ("vocals", "lead"): vocals.lead,
}
PER_BAR: Final = {
    "metal": {0.5: 3.0, 1: 5.0, 2: 1.0},
    "ballad": {0.5: 0.3, 1: 4.0, 2: 4.0},
    "electronic": {0.5: 3.0, 1: 5.0, 2: 0.5},
    "jazz": {1: 6.0, 2: 3.0},
}
TAIL: Final = 2.5


def compose(random: np.random.Generator) -> Song:
    """A song of about 40–50 s in one of nine styles, every choice drawn from ``random``.

    At least three stems play; each note starts at or after 0 and ends before the song does.
    """
    style = draw(random, OFTEN)
    manner = STYLES[style]
    tempo = float(random.uniform(*manner.tempo))
    beats = 3 if chance(random, manner.waltz) else 4
    plan = sections(60 / tempo * beats, random)
    sheet = _sheet(style, manner, tempo, beats, plan, random)
    time = clock(
        len(sheet.bars),
        beats,
        tempo,
        draw(random, manner.swing),
        0.5 if manner.sixteenths else 1.0,
        0.0 if style == "electronic" or chance(random, 0.4) else float(random.uniform(0.002, 0.012)),
        random,
    )
    players = band(manner, random)
    heard = arrangement(players, plan, random)
    parts = _parts(sheet, players, heard, time, manner, random)
    seconds = float(time.times[len(sheet.bars)]) + TAIL
    mode = "major" if 4 in sheet.scale else "minor"
    return Song(style, tempo, sheet.key, mode, seconds, parts)


def _sheet(
    style: str, manner: Style, tempo: float, beats: int, plan: Sequence[Section], random: np.random.Generator
) -> Sheet:
    key = int(random.integers(12))
    scale = SCALES[draw(random, manner.modes)]
    lines: dict[str, tuple[list[Chord], float]] = {}
    bars: list[Bar] = []
    for section in plan:
        if section.kind not in lines:
            known = [line for kind, line in lines.items() if kind in ("verse", "chorus")]
            share = 0.35 if section.kind in ("verse", "chorus") else 0.7
            fresh = (
                progression(style, key, scale, random),
                draw(random, PER_BAR.get(style, {0.5: 1, 1: 7, 2: 2})),
            )
            lines[section.kind] = pick(random, known) if known and chance(random, share) else fresh
        chords, per_bar = lines[section.kind]
        spans = spread(chords, section.start * beats, beats, section.bars, per_bar, random)
        for place in range(section.bars):
            bars.append(
                Bar(float((section.start + place) * beats), beats, tuple(spans[place]), section, place)
            )
    return Sheet(style, tempo, key, scale, tuple(bars), grooves(style, beats, random))


def _parts(
    sheet: Sheet,
    players: Sequence[Player],
    heard: dict[Player, list[bool]],
    time: Clock,
    manner: Style,
    random: np.random.Generator,
) -> tuple[Part, ...]:
    """Every player's part, in the order of `STEMS`; a harmony follows the lead voice."""
    end = float(time.times[len(sheet.bars)]) + TAIL - 0.5
    written: dict[Player, list[Event]] = {}
    for player in sorted(players, key=lambda player: (STEMS.index(player[0]), player[1] != "lead")):
        bars = [bar for bar, on in zip(sheet.bars, heard[player], strict=True) if on]
        if player == ("vocals", "harmony"):
            written[player] = vocals.harmony(sheet, bars, written[("vocals", "lead")], random)
        else:
            written[player] = PLAYERS[player](sheet, bars, random)
    parts = []
    for (stem, role), events in written.items():
        loose = manner.loose * float(random.uniform(0.4, 1.2)) * (0.6 if stem in ("drums", "bass") else 1.0)
        notes = perform(events, time, loose, end, random, single=stem in ("vocals", "bass"))
        if notes:
            parts.append(Part(stem, role, notes))
    return tuple(parts)
