"""Guitars, basses, pianos and saxophones made of recorded notes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from training.instruments.libraries import Recording, load, transpose
from training.score import SAMPLE_RATE, Audio, Note

BEFORE: Final = 0.004  # seconds that a note's audio starts ahead of its onset
CHORD: Final = 0.06  # seconds within which notes belong to one strum or chord
EVENNESS: Final = 0.6  # how much of the difference in level between recordings is taken out
CHOKE: Final = 0.012  # seconds in which a string falls silent when it is played anew


@dataclass(frozen=True)
class Manner:
    """Manner of playing, and set-up of the instrument.

    Attributes:
        tuning: semitones off concert pitch.
        slack: semitones by which the strings are tuned down: recordings of higher notes, played slower.
        dynamics: dB between the softest and the loudest touch.
        release: seconds in which a note ends when it is let go.
        pedal: seconds between two changes of the sustain pedal; 0 = not used.
        staccato: share of short notes that are played staccato.
        scratch: muted notes are unpitched strokes, where such are recorded, not palm mutes.
        noises: level of the noises when a note is let go, 0…1.
        damping: seconds in which a muted note decays by 8.7 dB.
        darkness: Hz above which a muted note is dull.
        tracks: 2 = played twice, panned left and right.
        single: one note at a time, as on a wind instrument.
    """

    tuning: float = 0.0
    slack: int = 0
    dynamics: float = 16.0
    release: float = 0.05
    pedal: float = 0.0
    staccato: float = 0.0
    scratch: bool = False
    noises: float = 0.0
    damping: float = 0.09
    darkness: float = 1800.0
    tracks: int = 1
    single: bool = False


@dataclass
class _Event:
    """A recording to be heard: `start` and `end` in seconds, `semitones` that it is transposed by."""

    recording: Recording
    semitones: float
    start: float
    end: float
    velocity: float
    fade: float
    muted: bool = False


@dataclass(frozen=True)
class RecordedInstrument:
    """Plays each note with the nearest recording in pitch and loudness, one of its repetitions at random.

    `name` is that of its library; `amplifier` tells whether an amplifier suits it.
    """

    recordings: tuple[Recording, ...]
    strings: tuple[int, ...] = ()
    manner: Manner = field(default_factory=Manner)
    name: str = ""
    amplifier: bool = True

    def play(self, notes: Sequence[Note], seconds: float, random: np.random.Generator) -> Audio:
        """See `training.score.Instrument`."""
        tracks = [
            self._track(notes, seconds, random, late=0.007 * track) for track in range(self.manner.tracks)
        ]
        if len(tracks) == 2:
            width = random.uniform(0.0, 0.35)
            left, right = (track.mean(axis=0) for track in tracks)
            audio = np.stack([left + width * right, right + width * left])
        else:
            audio = tracks[0]
        peak = np.abs(audio).max()
        return (audio * (0.5 / peak) if peak > 0 else audio).astype(np.float32)

    def _track(
        self, notes: Sequence[Note], seconds: float, random: np.random.Generator, late: float
    ) -> Audio:
        events = self._events(notes, random)
        if late:
            for event, shift in zip(events, random.normal(0, late, len(events)), strict=True):
                event.start, event.end = event.start + shift, event.end + shift
        channels = max((load(event.recording.path).audio.shape[0] for event in events[:1]), default=1)
        out = np.zeros((channels, round(seconds * SAMPLE_RATE)), np.float32)
        for key, group in self._grouped(events).items():
            self._mix(out, key, group)
        return out

    def _events(self, notes: Sequence[Note], random: np.random.Generator) -> list[_Event]:
        manner, events = self.manner, []
        sounding: dict[int, _Event] = {}
        changes = _pedal_changes(notes, manner.pedal)
        for note in sorted(notes, key=lambda each: (each.start, each.pitch)):
            voice = self._voice(note, sounding)
            old = sounding.get(voice)
            event = self._event(note, old, random)
            if changes.size and (later := changes[changes > note.start + 0.05]).size:
                event.end = max(event.end, float(later[0]))
            for other in sounding.values() if manner.single else [old] if old else []:
                if other.end > note.start > other.start + (CHORD if manner.single else 0.0):
                    other.end, other.fade = note.start + CHOKE, CHOKE
            sounding[voice] = event
            events.append(event)
        return events + self._noises(events, random)

    def _voice(self, note: Note, sounding: dict[int, _Event]) -> int:
        """Choose what the note sounds on: a key, or the highest string that has the pitch and is not in this chord."""
        fitting = [i for i, string in enumerate(self.strings) if string - self.manner.slack <= note.pitch]
        free = [i for i in fitting if i not in sounding or note.start - sounding[i].start > CHORD]
        return free[-1] if free else fitting[0] if fitting else note.pitch

    def _event(self, note: Note, old: _Event | None, random: np.random.Generator) -> _Event:
        manner = self.manner
        articulation = "sustain"
        if note.muted:
            articulation = "mute" if manner.scratch else "staccato"
        elif note.duration < 0.22 and random.random() < manner.staccato:
            articulation = "staccato"
        elif (
            old
            and abs(old.end - note.start) < 0.04
            and 0 < note.pitch + manner.slack - old.recording.pitch < 5
        ):
            articulation = "hammer" if random.random() < 0.5 else "sustain"
        recording = self._nearest(articulation, note, random)
        if recording.pitch < 0:
            shift = manner.tuning + random.uniform(-1, 1)
        else:
            shift = self._folded(note.pitch) + manner.tuning - recording.pitch
        return _Event(
            recording=recording,
            semitones=round(shift, 2),
            start=note.start,
            end=note.start + max(note.duration, 0.05),
            velocity=note.velocity * (0.8 if note.muted else 1),
            fade=manner.release * random.uniform(0.7, 1.4),
            muted=note.muted and recording.articulation == "sustain",
        )

    def _folded(self, pitch: int) -> int:
        """The pitch, by octaves nearer where it lies far outside what is recorded; low tunings are not."""
        low, high = self._range
        while pitch + self.manner.slack < low - 7:
            pitch += 12
        while pitch + self.manner.slack > high + 5:
            pitch -= 12
        return pitch

    @cached_property
    def _range(self) -> tuple[int, int]:
        pitches = [each.pitch for each in self.recordings if each.articulation == "sustain"]
        return min(pitches), max(pitches)

    @cached_property
    def _articulations(self) -> dict[str, tuple[list[Recording], NDArray[np.int64], NDArray[np.int64]]]:
        """Recordings of each articulation, with their pitches and their dynamics as arrays."""
        table = {}
        for name in {each.articulation for each in self.recordings}:
            usable = [each for each in self.recordings if each.articulation == name]
            pitches, dynamics = np.array([(each.pitch, each.dynamic) for each in usable]).T
            table[name] = usable, pitches, dynamics
        return table

    def _nearest(self, articulation: str, note: Note, random: np.random.Generator) -> Recording:
        """One of the recordings nearest in pitch and loudness, where a dynamic counts a little over a semitone."""
        table = self._articulations
        usable, pitches, dynamics = table.get(articulation, table["sustain"])
        ranks = np.unique(dynamics)
        touch = ranks[int(np.clip(note.velocity * len(ranks) + random.normal(0, 0.3), 0, len(ranks) - 1))]
        distances = np.abs(pitches - self._folded(note.pitch) - self.manner.slack) * (pitches >= 0)
        costs = distances + 1.3 * np.abs(dynamics - touch)
        return usable[int(random.choice(np.flatnonzero(costs <= costs.min() + 0.5)))]

    def _noises(self, events: list[_Event], random: np.random.Generator) -> list[_Event]:
        if "release" not in self._articulations or not self.manner.noises:
            return []
        usable, pitches, _ = self._articulations["release"]
        noises = []
        for event in events:
            if event.fade != CHOKE and random.random() < 0.5:
                distances = np.abs(pitches - event.recording.pitch)
                recording = usable[int(random.choice(np.flatnonzero(distances == distances.min())))]
                level = event.velocity - 1.0 + self.manner.noises
                noises.append(
                    _Event(recording, event.semitones, event.end - 0.02, event.end + 0.5, level, 0.02)
                )
        return noises

    def _grouped(self, events: list[_Event]) -> dict[tuple[Recording, float, bool], list[_Event]]:
        groups: dict[tuple[Recording, float, bool], list[_Event]] = {}
        for event in events:
            groups.setdefault((event.recording, event.semitones, event.muted), []).append(event)
        return groups

    def _mix(self, out: Audio, key: tuple[Recording, float, bool], group: list[_Event]) -> None:
        recording, semitones, muted = key
        longest = max(event.end + event.fade - event.start for event in group)
        longest = min(longest, 8 * self.manner.damping) if muted else longest
        sound = load(recording.path, longest * 2 ** (semitones / 12))
        audio = transpose(sound, semitones, longest, BEFORE)
        if muted:
            audio = self._damp(audio)
        for event in group:
            first = round((event.start - BEFORE) * SAMPLE_RATE)
            length = min(audio.shape[1], round((event.end + event.fade + BEFORE - event.start) * SAMPLE_RATE))
            gain = 10 ** (self.manner.dynamics * (event.velocity - 1) / 20) * sound.level**-EVENNESS
            _add(out, audio[:, :length], first, gain, max(16, round(event.fade * SAMPLE_RATE)))

    def _damp(self, audio: Audio) -> Audio:
        time = np.arange(audio.shape[1], dtype=np.float32) / SAMPLE_RATE - np.float32(BEFORE)
        dull = sosfilt(butter(2, self.manner.darkness, fs=SAMPLE_RATE, output="sos"), audio)
        return np.asarray(dull * np.exp(-np.maximum(time, 0) / self.manner.damping), np.float32)


def _add(out: Audio, audio: Audio, first: int, gain: float, fade: int) -> None:
    """Add `audio` from sample `first` on, its last `fade` samples fading out."""
    fade = min(fade, audio.shape[1])
    ramp = np.linspace(1, 0, fade, dtype=np.float32) ** 2
    body = audio.shape[1] - fade
    for part, at in ((audio[:, :body], first), (audio[:, body:] * ramp, first + body)):
        skip = max(0, -at)
        part = part[:, skip : max(skip, out.shape[1] - at)]
        out[:, at + skip : at + skip + part.shape[1]] += np.float32(gain) * part


def _pedal_changes(notes: Sequence[Note], period: float) -> np.ndarray:
    """Times of the changes of the pedal: with the first chord that comes `period` seconds after the last change."""
    changes: list[float] = []
    for start in sorted(note.start for note in notes) if period else []:
        if not changes or start - changes[-1] >= period:
            changes.append(start)
    return np.array(changes)
