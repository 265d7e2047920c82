"""Analysis of a stream: key, tuning, tempo, beats and chords."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stemsplitter.analysis.beats import find_beats
from stemsplitter.analysis.chords import Chord, estimate_chords
from stemsplitter.analysis.keys import KeyEstimate, estimate_key
from stemsplitter.analysis.onsets import Onsets
from stemsplitter.analysis.pitches import Pitches
from stemsplitter.analysis.tempo import TempoEstimate, estimate_tempo
from stemsplitter.analysis.tonality import pooled
from stemsplitter.audio.resample import Resampler

Samples = npt.NDArray[np.float32]

RATE = 22_050


@dataclass(frozen=True)
class Analysis:
    """The analysis of a song.

    Attributes:
        seconds: length.
        key: None for silence; see `KeyEstimate.is_clear`.
        tuning_cents: deviation from A4 = 440 Hz, -50 to 50.
        tempo: None if nothing repeats.
        beats: times in seconds, steady around the tempo; empty without a tempo.
        chords: in order; none where the harmony is unclear.
        warnings: sentences about damage of the song.
    """

    seconds: float
    key: KeyEstimate | None
    tuning_cents: float
    tempo: TempoEstimate | None
    beats: tuple[float, ...]
    chords: tuple[Chord, ...]
    warnings: tuple[str, ...] = ()


class Analyzer:
    """Analyzes a stream of blocks ``[C, n]``, about 40 MB for an hour, 70 MB with harmony.

    Args:
        sample_rate: in hertz.
        has_drums: the drums stem is given beside the song, which improves the tempo.
        has_harmony: the sum of the stems without drums and vocals is given beside the song, which improves the chords.
    """

    def __init__(self, sample_rate: int, *, has_drums: bool = False, has_harmony: bool = False) -> None:
        self._rate = sample_rate
        self._samples = 0
        self._song = Resampler(sample_rate, RATE, 1)
        self._drums = Resampler(sample_rate, RATE, 1) if has_drums else None
        self._harmony = Resampler(sample_rate, RATE, 1) if has_harmony else None
        self._harmony_pitches = Pitches(RATE)
        self._onsets, self._drum_onsets, self._pitches = Onsets(RATE), Onsets(RATE), Pitches(RATE)

    def process(self, block: Samples, drums: Samples | None = None, harmony: Samples | None = None) -> None:
        """Take float32 ``[C, n]`` of the song and, if there are any, of its drums and its harmony."""
        self._samples += block.shape[1]
        self._measure(self._song.push(_mono(block)))
        if self._drums is not None and drums is not None:
            self._drum_onsets.push(self._drums.push(_mono(drums))[0])
        if self._harmony is not None and harmony is not None:
            self._harmony_pitches.push(self._harmony.push(_mono(harmony))[0])

    def finish(self) -> Analysis:
        """End the stream and return its analysis."""
        self._measure(self._song.flush())
        curves = self._onsets.curves()
        if self._drums is not None:
            self._drum_onsets.push(self._drums.flush()[0])
            drums = self._drum_onsets.curves()
            count = min(len(curves), len(drums))
            curves = np.concatenate([curves[:count], drums[:count]], axis=1)
        tempo = estimate_tempo(curves, self._onsets.frames_per_second)
        beats = find_beats(curves, self._onsets.frames_per_second, tempo.bpm) if tempo else np.zeros(0)
        frames, tuning = self._pitches.frames()
        key = estimate_key(pooled(frames, self._pitches.bass(tuning)))
        seconds = self._samples / self._rate
        if self._harmony is not None:
            self._harmony_pitches.push(self._harmony.flush()[0])
            frames, _ = self._harmony_pitches.frames()
        times = beats.tolist()
        chords = estimate_chords(
            frames, self._pitches.frames_per_second, times, seconds, key.key if key else None
        )
        return Analysis(seconds, key, 100 * tuning, tempo, tuple(times), chords)

    def _measure(self, samples: Samples) -> None:
        self._onsets.push(samples[0])
        self._pitches.push(samples[0])


def _mono(block: Samples) -> Samples:
    mono: Samples = block.mean(axis=0, keepdims=True, dtype=np.float32)
    return mono
