"""Recorded percussion loops, fitted to the tempo that a part's notes have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import soxr
from scipy.signal import butter, sosfilt

from training.instruments.libraries import load
from training.instruments.strokes import find
from training.score import SAMPLE_RATE, Audio, Note

# Quarter notes in each of sonic-pi-samples' loops (CC0) that is drums alone, measured by the rhythm of its onsets.
# Not used: loop_amen and loop_amen_full, whose uploaders cannot give away what The Winstons recorded; loops with
# tones in them.
BEATS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "loop_breakbeat": 4,
        "loop_compus": 16,
        "loop_industrial": 2,
        "loop_mehackit1": 4,
        "loop_mehackit2": 4,
        "loop_tabla": 16,
    }
)
FADE: Final = 0.003  # seconds at each cut


@dataclass(frozen=True)
class Loop:
    """A loop that repeats while the part plays.

    Attributes:
        name: one of `BEATS`.
        high_pass: Hz; keeps it off the bass drum and the bass.
        shuffled: whether its eighths are in another order.
    """

    name: str
    high_pass: float
    shuffled: bool

    def play(self, notes: Sequence[Note], seconds: float, random: np.random.Generator) -> Audio:
        """See `training.score.Instrument`. Sounds in those repetitions in which the part has notes."""
        out = np.zeros((2, round(seconds * SAMPLE_RATE)), np.float32)
        if not notes:
            return out
        starts = np.sort([note.start for note in notes])
        period, phase = grid(starts)
        sound = load(find(self.name), 30.0)
        natural = sound.audio.shape[1] / sound.rate / BEATS[self.name]
        beat = period * 2.0 ** np.round(np.log2(natural / period))
        speed = natural / beat
        audio = soxr.resample(sound.audio.T, sound.rate * speed, SAMPLE_RATE, quality="MQ").T
        audio = sosfilt(butter(2, self.high_pass, "highpass", fs=SAMPLE_RATE, output="sos"), audio)
        length = BEATS[self.name] * beat
        audio = self._cut(audio, length, random)
        first = phase + period * np.round((starts[0] - phase) / period)
        for start in first + length * np.arange(int(np.ceil((starts[-1] + beat / 2 - first) / length))):
            at = max(0, round(start * SAMPLE_RATE))
            if (
                np.any((starts > start - period / 2) & (starts < start + length - period / 2))
                and at < out.shape[1]
            ):
                piece = audio[:, : out.shape[1] - at]
                out[:, at : at + piece.shape[1]] += piece
        peak = np.abs(out).max()
        return out * np.float32(0.5 / peak) if peak > 0 else out

    def _cut(self, audio: Audio, length: float, random: np.random.Generator) -> Audio:
        """The loop in exactly `length` seconds, in order or in eighths put together anew, each faded at its ends."""
        count = 2 * BEATS[self.name] if self.shuffled else 1
        size = round(length / count * SAMPLE_RATE)
        audio = np.pad(audio, ((0, 0), (0, max(0, count * size - audio.shape[1]))))[:, : count * size]
        pieces = audio.reshape(audio.shape[0], count, size)
        if self.shuffled:
            pieces = pieces[:, random.permutation(count)]
        fade = np.minimum(1, np.arange(size) / (FADE * SAMPLE_RATE))
        pieces = pieces * (np.minimum(1, fade + (not self.shuffled)) * fade[::-1])
        return np.asarray(pieces.reshape(audio.shape[0], -1), np.float32)


def grid(starts: np.ndarray) -> tuple[float, float]:
    """The period and phase, in seconds, of the even grid nearest to notes that start at `starts` (sorted).

    The period is searched around the median distance of notes, for the largest first circular moment of the starts
    (K. V. Mardia and P. E. Jupp, Directional Statistics, 2000).
    """
    gaps = np.diff(starts)
    gaps = gaps[gaps > 0.05]
    guess = float(np.median(gaps)) if gaps.size else 0.5
    periods = guess * np.linspace(0.92, 1.08, 801)
    moments = np.exp(2j * np.pi * starts[:, None] / periods).mean(axis=0)
    best = int(np.argmax(np.abs(moments)))
    return float(periods[best]), float(np.angle(moments[best]) / (2 * np.pi) * periods[best])


def loop(random: np.random.Generator) -> Loop | None:
    """A loop at random, or None where no loops are installed."""
    names = [name for name in BEATS if find(name).is_file()]
    if not names:
        return None
    high_pass = float(np.exp(random.uniform(np.log(120), np.log(500))))
    return Loop(str(random.choice(names)), high_pass, shuffled=bool(random.random() < 0.3))
