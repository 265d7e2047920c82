"""Chord progressions."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from training.composer.choice import chance, pick
from training.composer.sheet import Span
from training.composer.theory import QUALITIES, Chord, read_chord

BRIGHT: Final = (
    "I V vi IV",
    "I IV V IV",
    "vi IV I V",
    "I vi IV V",
    "I iii IV V",
    "I IV vi V",
    "IV I V vi",
    "I IV I V",
    "I V IV IV",
    "I bVII IV I",
    "I II7 IV I",
    "I III7 vi IV",
    "I IV iv I",
    "Iadd9 Vsus4 vi7 IVadd9",
    "I Isus4 IV IVsus2",
    "I V/1 vi iii IV I IV V",
    "I V vi iii IV I ii V",
    "I VI7 ii V",
    "IVmaj7 V iii7 vi7",
    "I #iv7 IVmaj7 V7sus4",
    "I bIII IV I",
    "I ii IV V",
    "vi V IV V",
    "I IV ii V7sus4",
    "I I7 IV iv",
    "ii V I I",
)
DARK: Final = (
    "i bVI bIII bVII",
    "i bVII bVI bVII",
    "i iv v i",
    "i bVI iv V",
    "i bVII bVI V",
    "i iv bVII bIII",
    "i bIII bVII iv",
    "i i bVI bVII",
    "i v bVI iv",
    "imadd9 bVImaj7 bIII bVIIsus4",
    "i iim7b5 V7 i",
    "i7 iv7 bVII7 bIIImaj7",
    "i bVI bVII v",
    "i bVII iv bVI",
    "bVI bVII i i",
    "i IV i IV",
    "i7 IV9 i7 IV9",
)
MODAL: Final = (
    "I bVII IV IV",
    "I7 IV7 I7 V7",
    "I7 I7 IV7 I7 V7 IV7 I7 V7",
    "I bVII bVI bVII",
    "I v IV I",
    "I bIII bVII IV",
    "I IV bVII I",
)
PHRYGIAN: Final = (
    "i5 bII5 i5 bVII5",
    "i5 i5 bII5 bIII5",
    "i5 bV5 bII5 i5",
    "i5 bVI5 bII5 bVII5",
    "i5 i5 i5 bII5",
    "i5 bIII5 bII5 bVII5",
    "i5 bVII5 bVI5 bII5",
    "i5 #vi5 bVI5 v5",
)
JAZZ: Final = (
    "iim7 V7 Imaj7 VI7b9",
    "Imaj7 vim7 iim7 V13",
    "iiim7 VI7 iim7 V7",
    "Imaj7 I7 IVmaj7 iv6",
    "Imaj7 #idim7 iim7 V9",
    "I6 VI7 II9 V7",
    "iim7 bII7 Imaj7 Imaj7",
    "Imaj7 bIIImaj7 bVImaj7 bII7",
    "Imaj7 iim7 iiim7 VI7b9 iim7 V13 I6 V7#9",
    "I7 IV7 I7 I7 IV7 IV7 I7 VI7 iim7 V7 I7 V7",
)
JAZZ_DARK: Final = (
    "im7 iim7b5 V7b9 im7",
    "im6 iim7b5 V7#9 im9",
    "im7 IV7 bVIImaj7 bIIImaj7 bVImaj7 iim7b5 V7 im7",
    "im9 im9 ivm9 V7#9",
    "im7 bVI7 V7b9 im6",
    "im7 im7 bIIm7 im7",
)
FUNK: Final = (
    "i7 i7 i7 IV9",
    "I9 I9 IV9 I9",
    "i9 i9 iv9 i9",
    "I7#9 I7#9 bVII9 IV9",
    "i7 iv7 bVII9 bIIImaj7",
    "i7 IV7 i7 IV7",
    "iim7 V9 iim7 V9",
    "I7 bIII7 IV7 I7",
    "i9 bVII13 bVImaj7 V7#9",
    "IVmaj7 iii7 ii7 I9",
)
REGGAE: Final = (
    "i iv i iv",
    "i i bVII bVII",
    "I IV I IV",
    "I V ii IV",
    "i iv v i",
    "I ii I ii",
    "i bVII bVI v",
    "I IV V IV",
    "i bIII iv v",
    "iim7 iiim7 iim7 iiim7",
)
COUNTRY: Final = (
    "I IV I V",
    "I I IV IV V V I I",
    "I I V V V V I I",
    "I IV V I",
    "I V I IV",
    "I I7 IV I",
    "I vi ii V7",
    "I II7 V7 I",
    "I V7 I I7 IV I V7 I",
    "vi IV I V",
)
STOCK: Final = {
    "metal": (PHRYGIAN, PHRYGIAN, DARK, DARK),
    "funk": (FUNK, FUNK, MODAL, DARK),
    "reggae": (REGGAE, REGGAE, BRIGHT, DARK),
    "country": (COUNTRY, COUNTRY, BRIGHT, DARK),
    "jazz": (JAZZ, JAZZ, JAZZ, JAZZ_DARK),
}
PLAIN: Final = QUALITIES[""], QUALITIES["m"]
COLOURS: Final = {
    "rock": (0.06, ("5", "sus4", "add9", "7")),
    "pop": (0.14, ("add9", "sus4", "sus2", "7")),
    "metal": (0.3, ("5",)),
    "funk": (0.7, ("7", "9")),
    "electronic": (0.25, ("7", "sus2", "9", "add9")),
    "ballad": (0.22, ("add9", "7", "sus4", "6")),
    "jazz": (0.9, ("7", "9", "6")),
    "reggae": (0.15, ("7",)),
    "country": (0.1, ("7", "6", "sus4", "add9")),
}


def progression(style: str, key: int, scale: Sequence[int], random: np.random.Generator) -> list[Chord]:
    """Four to twelve chords that go round, from the style's stock or a walk over the scale, then coloured."""
    bright = 4 in scale
    modal = bright and 10 in scale
    if chance(random, 0.15 if style != "jazz" else 0.05):
        return [_colour(style, chord, random) for chord in _walk(key, scale, random)]
    stock = STOCK.get(style, (BRIGHT, BRIGHT, BRIGHT, DARK))
    if not bright:
        shelf = stock[3] if style != "metal" else stock[0] if chance(random, 0.5) else DARK
        if style in ("funk", "reggae") and chance(random, 0.5):
            shelf = tuple(line for line in stock[0] if line.startswith("i"))
    else:
        shelf = MODAL if modal and chance(random, 0.6) else pick(random, stock[:3])
        shelf = tuple(line for line in shelf if not line.startswith(("i ", "i7 ", "i9 ", "i5 "))) or BRIGHT
    chords = [read_chord(numeral.split("/")[0], key) for numeral in pick(random, shelf).split()]
    return [_colour(style, chord, random) for chord in chords]


def _walk(key: int, scale: Sequence[int], random: np.random.Generator) -> list[Chord]:
    """Triads of the scale, the first mostly the tonic, moving by fourth, step or third."""
    degree = 0 if chance(random, 0.75) else pick(random, (3, 5))
    chords = []
    for _ in range(pick(random, (2, 4, 4, 4, 8))):
        root = scale[degree]
        third, fifth = ((scale[(degree + skip) % 7] - root) % 12 for skip in (2, 4))
        chords.append(Chord((key + root) % 12, (0, third, fifth)))
        degree = (degree + pick(random, (3, 3, 4, 1, 1, 6, 5, 2))) % 7
    return chords


def _colour(style: str, chord: Chord, random: np.random.Generator) -> Chord:
    """A plain triad now and then gets a seventh, a ninth or loses its third."""
    share, colours = COLOURS[style]
    if chord.intervals not in PLAIN or not chance(random, share):
        return chord
    quality = pick(random, colours)
    if quality in ("7", "9", "6", "add9") and chord.minor:
        quality = "m" + quality
    elif quality == "7" and chance(random, 0.6) and style not in ("rock", "country"):
        quality = "maj7"
    return Chord(chord.root, QUALITIES[quality])


def spread(
    chords: Sequence[Chord], start: float, beats: int, bars: int, per_bar: float, random: np.random.Generator
) -> list[list[Span]]:
    """The progression over bars of ``beats`` quarters: for each bar its spans.

    ``per_bar`` chords come in a bar (0.5: one for two bars). Now and then a chord's second half is the
    dominant of the next one.
    """
    leading = chance(random, 0.2)
    out = []
    for bar in range(bars):
        begin = start + bar * beats
        if per_bar >= 2:
            half = beats / 2 if beats == 4 else 2.0
            here = [chords[(2 * bar + i) % len(chords)] for i in range(2)]
            out.append([Span(begin, half, here[0]), Span(begin + half, beats - half, here[1])])
            continue
        chord = chords[int(bar * per_bar) % len(chords)]
        following = chords[int((bar + 1) * per_bar) % len(chords)]
        if leading and following != chord and bar % 4 == 3:
            dominant = Chord((following.root + 7) % 12, QUALITIES["7"])
            out.append([Span(begin, beats - 2.0, chord), Span(begin + beats - 2.0, 2.0, dominant)])
        else:
            out.append([Span(begin, float(beats), chord)])
    return out
