"""Notes, parts and songs, which the composer writes and the instruments play."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.float32]
SAMPLE_RATE: Final = 44_100
STEMS: Final = ("vocals", "drums", "bass", "guitar", "piano", "other")


@dataclass(frozen=True)
class Note:
    """A note.

    Attributes:
        start: seconds from the start of the song, humanised already.
        duration: seconds that the key is held.
        pitch: MIDI number, 60 = middle C; General MIDI's percussion key for drums.
        velocity: 0…1.
        muted: played with the palm of the hand on the strings, or as a ghost note.
    """

    start: float
    duration: float
    pitch: int
    velocity: float
    muted: bool = False


@dataclass(frozen=True)
class Part:
    """Notes of one player.

    Attributes:
        stem: one of `STEMS`.
        role: what the part does. drums: kit, percussion. bass: line. guitar: strum, riff, arpeggio, lead,
            skank. piano: chords, arpeggio, melody. other: pad, stabs, arpeggio, melody, riff. vocals: lead,
            harmony.
        notes: in order of their start.
    """

    stem: str
    role: str
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class Song:
    """A song as it is written down.

    Attributes:
        style: rock, pop, metal, funk, electronic, ballad, jazz, reggae, country.
        tempo: quarter notes a minute.
        tonic: pitch class of the key, 0 = C.
        mode: major or minor; another scale counts as the one with its third.
        seconds: length, with the last notes' decay.
        parts: the players, at most one of each stem and role.
    """

    style: str
    tempo: float
    tonic: int
    mode: str
    seconds: float
    parts: tuple[Part, ...]


class Instrument(Protocol):
    """Something that plays notes."""

    def play(self, notes: Sequence[Note], seconds: float, random: np.random.Generator) -> Audio:
        """Dry audio ``[1 or 2, round(seconds * SAMPLE_RATE)]``, peak about 0.5, nothing at NaN or infinity."""
