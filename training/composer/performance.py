"""From beats to seconds: a song's clock, swing, and hands that are never quite on time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.composer.sheet import Event
from training.score import Note


@dataclass(frozen=True)
class Clock:
    """Times of the beats.

    Attributes:
        beats: bar lines in quarter notes, ascending.
        times: the same in seconds.
        swing: where in its pair the second eighth (or sixteenth) comes, 0.5 to 0.7.
        pair: quarter notes that a swung pair takes: 1 for eighths, 0.5 for sixteenths.
    """

    beats: NDArray[np.float64]
    times: NDArray[np.float64]
    swing: float
    pair: float

    def seconds(self, beats: NDArray[np.float64]) -> NDArray[np.float64]:
        """Seconds of the given beats; triplets are not swung."""
        whole = np.floor(beats / self.pair + 1e-9)
        place = beats / self.pair - whole
        bent = np.where(
            place < 0.5, place * 2 * self.swing, self.swing + (place - 0.5) * 2 * (1 - self.swing)
        )
        thirds = (np.abs(place * 3 - np.round(place * 3)) < 1e-6) & (place > 1e-6)
        bent = np.where(thirds, place, bent)
        return np.interp((whole + bent) * self.pair, self.beats, self.times)


def clock(
    bars: int, beats: int, tempo: float, swing: float, pair: float, drift: float, random: np.random.Generator
) -> Clock:
    """A clock that starts within the first half second and whose tempo wanders by about ``drift`` (a share)."""
    wander = np.cumsum(random.normal(0, drift / 3, bars + 1))
    wander = np.clip(wander - wander.mean(), -3 * drift, 3 * drift)
    lengths = 60 / tempo * beats * (1 + wander)
    times = random.uniform(0.03, 0.5) + np.concatenate(([0.0], np.cumsum(lengths)))
    return Clock(np.arange(bars + 2) * float(beats), times, swing, pair)


def perform(
    events: Sequence[Event],
    time: Clock,
    loose: float,
    end: float,
    random: np.random.Generator,
    single: bool = False,
) -> tuple[Note, ...]:
    """The events as a player of a given looseness plays them.

    The player as a whole is a little early or late, its timing wanders slowly, each note jitters (each of the
    three with a standard deviation of about ``loose`` seconds, notes struck together move together), loudness
    varies by some 6 %. A note ends before its pitch starts again (where ``single``: before any other note) and
    before ``end`` seconds.
    """
    if not events:
        return ()
    beat, beats, velocity, delay = np.array([(e.beat, e.beats, e.velocity, e.delay) for e in events]).T
    _, together = np.unique(np.round(beat * 48), return_inverse=True)
    groups = int(together.max()) + 1
    push = random.normal(0, loose)
    wander = np.convolve(random.normal(0, loose, groups + 7), np.full(8, 0.25), "valid")
    hands = push + wander + random.normal(0, 0.6 * loose, groups)
    hands = np.clip(hands, -3.5 * loose, 3.5 * loose)
    start = time.seconds(beat) + hands[together] + random.normal(0, 0.15 * loose, len(events)) + delay
    finish = time.seconds(beat + beats) + hands[together]
    start = np.maximum(start, 0.0)
    loud = 1 + random.normal(0, 0.04, groups)[together] + random.normal(0, 0.04, len(events))
    velocity = np.clip(velocity * loud, 0.05, 1.0)
    notes: list[Note] = []
    free: dict[int, float] = {}
    for i in np.argsort(-start, kind="stable"):
        event = events[i]
        voice = 0 if single else event.pitch
        begin = float(start[i])
        until = min(max(float(finish[i]), begin + 0.03), free.get(voice, end), end)
        if until - begin < 0.02:
            continue
        free[voice] = begin
        notes.append(Note(begin, until - begin, event.pitch, float(velocity[i]), event.muted))
    return tuple(reversed(notes))
