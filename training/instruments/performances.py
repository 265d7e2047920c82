"""Recorded performances: whole phrases, heard where a part has notes, whatever these are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np

from training.instruments.catalogue import Split
from training.instruments.libraries import SUFFIXES, load, transpose
from training.score import SAMPLE_RATE, Audio, Note

REST: Final = 1.5  # seconds without notes in which the performance pauses
FADE: Final = 0.02  # seconds at each of its ends
# patterns of files of each stem, and the roles that they play; none is held out
PLAYED: Final[Mapping[str, tuple[tuple[str, tuple[str, ...]], ...]]] = MappingProxyType(
    {
        "piano": (("ishizaka-bach-piano/*", ("chords", "arpeggio", "melody")),),
        "guitar": (("olpc-berklee-strings/guitar_riff*", ("riff", "strum")),),
        "other": (
            ("sms-tools-instruments/*phrase*", ("melody",)),
            ("sms-tools-instruments/cello-double*", ("melody", "pad")),
            ("olpc-berklee-misc/synth*", ("pad",)),
            ("olpc-berklee-misc/theremin*", ("melody", "pad")),
            ("olpc-berklee-misc/khaen*", ("riff",)),
        ),
        "vocals": (
            ("vocadito/*", ("lead",)),
            ("sms-tools-voices/singing*", ("lead",)),
            ("olpc-berklee-voices/voc*", ("harmony",)),
        ),
    }
)
SHOUTS: Final = "272-merry-orks/*"


@dataclass(frozen=True)
class Performance:
    """A recording that plays on while a part does, from any place on.

    Attributes:
        path: of the recording.
        semitones: by which it is transposed.
    """

    path: Path
    semitones: float

    def play(self, notes: Sequence[Note], seconds: float, random: np.random.Generator) -> Audio:
        """See `training.score.Instrument`."""
        audio = transpose(load(self.path, 90.0), self.semitones, 90.0)
        audio = audio * np.float32(0.5 / max(float(np.abs(audio).max()), 1e-6))
        out = np.zeros((audio.shape[0], round(seconds * SAMPLE_RATE)), np.float32)
        at = int(random.integers(max(1, audio.shape[1])))
        for start, end in spans(notes):
            first, last = (round(np.clip(each, 0, seconds) * SAMPLE_RATE) for each in (start, end))
            count = min(last, out.shape[1]) - first
            if count > 2 * FADE * SAMPLE_RATE:
                piece = audio[:, (at + np.arange(count)) % audio.shape[1]]
                ramp = np.minimum(1, np.arange(count) / (FADE * SAMPLE_RATE))
                out[:, first : first + count] = piece * np.minimum(ramp, ramp[::-1]).astype(np.float32)
                at = (at + count) % audio.shape[1]
        return out


@dataclass(frozen=True)
class Shouts:
    """One shout for each note that comes long enough after the last.

    Attributes:
        paths: of the recordings.
        semitones: by which the shouter is transposed.
    """

    paths: tuple[Path, ...]
    semitones: float

    def play(self, notes: Sequence[Note], seconds: float, random: np.random.Generator) -> Audio:
        """See `training.score.Instrument`."""
        out = np.zeros((1, round(seconds * SAMPLE_RATE)), np.float32)
        free = -1.0
        for note in notes:
            if note.start < free:
                continue
            path = self.paths[random.integers(len(self.paths))]
            shout = transpose(load(path, 2.0), self.semitones + random.uniform(-0.5, 0.5), 2.0)
            shout = shout.mean(axis=0, keepdims=True)[
                :, : max(0, out.shape[1] - round(note.start * SAMPLE_RATE))
            ]
            shout *= np.float32(0.5 * note.velocity / max(float(np.abs(shout).max(initial=0)), 1e-6))
            first = round(note.start * SAMPLE_RATE)
            out[:, first : first + shout.shape[1]] += shout
            free = note.start + 0.7 * shout.shape[1] / SAMPLE_RATE
        return out


def spans(notes: Sequence[Note]) -> list[tuple[float, float]]:
    """Start and end of each stretch with notes, which may have pauses of up to `REST` seconds."""
    found: list[tuple[float, float]] = []
    for note in sorted(notes, key=lambda each: each.start):
        end = note.start + note.duration
        if found and note.start - found[-1][1] < REST:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((note.start, end))
    return found


def choose(
    stem: str, role: str, random: np.random.Generator, samples: Path | None, split: Split
) -> Performance | None:
    """A performance for a part, or None where there is none."""
    if samples is None or split == "held-out":
        return None
    paths = [
        path for pattern, roles in PLAYED.get(stem, ()) if role in roles for path in _files(samples, pattern)
    ]
    if not paths:
        return None
    return Performance(paths[random.integers(len(paths))], float(random.uniform(-2.5, 2.5)))


def shouts(random: np.random.Generator, samples: Path | None, split: Split) -> Shouts | None:
    """Choose shouts, or None where there are no recordings of any."""
    paths = _files(samples, SHOUTS) if samples and split == "training" else ()
    return Shouts(paths, float(random.uniform(-5, 4))) if paths else None


@cache
def _files(samples: Path, pattern: str) -> tuple[Path, ...]:
    return tuple(sorted(path for path in samples.glob(pattern) if path.suffix in SUFFIXES))
