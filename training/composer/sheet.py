"""The song before it is played: bars with chords, sections and rhythm, times in quarter notes."""

from dataclasses import dataclass
from typing import NamedTuple

from training.composer.theory import Chord


class Event(NamedTuple):
    """A note in musical time.

    Attributes:
        beat: start, quarter notes from the start of the song.
        beats: length in quarter notes.
        pitch: MIDI number.
        velocity: 0…1.
        muted: as in `training.score.Note`.
        delay: seconds that the hand comes later than the beat (a strum's strings).
    """

    beat: float
    beats: float
    pitch: int
    velocity: float
    muted: bool = False
    delay: float = 0.0


class Span(NamedTuple):
    """A chord over a stretch of a bar; start and length in quarter notes."""

    start: float
    beats: float
    chord: Chord

    @property
    def end(self) -> float:
        """Beat at which the next chord starts."""
        return self.start + self.beats


@dataclass(frozen=True)
class Groove:
    """Rhythm that the players share in a kind of section; steps are sixteenths of a bar.

    Attributes:
        kick: steps of the bass drum.
        snare: steps of the backbeat.
        accents: steps that riffs and stabs stress.
        time: how time is kept: eighths, quarters, sixteenths, offbeat, ride, swing, open, none.
    """

    kick: tuple[int, ...]
    snare: tuple[int, ...]
    accents: tuple[int, ...]
    time: str


@dataclass(frozen=True)
class Section:
    """A part of the form.

    Attributes:
        kind: intro, verse, chorus, break or solo.
        start: first bar.
        bars: number of bars.
        energy: 0…1.
    """

    kind: str
    start: int
    bars: int
    energy: float


@dataclass(frozen=True)
class Bar:
    """A bar.

    Attributes:
        start: quarter notes from the start of the song.
        beats: quarter notes in it, 3 or 4.
        spans: its chords, without gaps.
        section: where it belongs.
        place: its number within the section.
    """

    start: float
    beats: int
    spans: tuple[Span, ...]
    section: Section
    place: int

    @property
    def steps(self) -> int:
        """Sixteenths in the bar."""
        return self.beats * 4

    @property
    def last(self) -> bool:
        """True if the section ends with it."""
        return self.place == self.section.bars - 1

    def chord(self, beat: float) -> Chord:
        """The chord that sounds at a beat counted from the start of the song."""
        return next((span.chord for span in self.spans if beat < span.end - 1e-6), self.spans[-1].chord)


@dataclass(frozen=True)
class Sheet:
    """Everything that the players have in common.

    Attributes:
        style: as in `training.score.Song`.
        tempo: quarter notes a minute.
        key: pitch class of the tonic.
        scale: semitones above the tonic.
        bars: the song.
        grooves: one for each kind of section.
    """

    style: str
    tempo: float
    key: int
    scale: tuple[int, ...]
    bars: tuple[Bar, ...]
    grooves: dict[str, Groove]
