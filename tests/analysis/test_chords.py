"""Chords of synthetic songs, and of input without any."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from stemsplitter.analysis import Analyzer, Chord, Key
from stemsplitter.analysis.chords import estimate_chords

from .test_analyzer import RATE, clicks, tone

SEQUENCE = ("C", "G", "Am", "F")
THIRD = {"major": 4, "minor": 3}


def triad(name: str, seconds: float, semitones: float = 0) -> np.ndarray:
    minor = name.endswith("m")
    root = 60 + ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B").index(name.rstrip("m"))
    notes = (root - 12, root, root + (3 if minor else 4), root + 7)
    return np.asarray(sum(tone(note + semitones, seconds) for note in notes))


def song(names: tuple[str, ...], seconds: float = 2.0, semitones: float = 0) -> np.ndarray:
    made = np.concatenate([triad(name, seconds, semitones) for name in names])
    return (0.1 * made).astype(np.float32)[None]


def chords(harmony: np.ndarray, other: np.ndarray | None = None) -> tuple[Chord, ...]:
    analyzer = Analyzer(RATE, has_drums=other is not None, has_harmony=True)
    whole = harmony if other is None else harmony + other
    for start in range(0, harmony.shape[1], 50_000):
        part = slice(start, start + 50_000)
        analyzer.process(whole[:, part], None if other is None else other[:, part], harmony[:, part])
    return analyzer.finish().chords


@pytest.mark.parametrize("cents", [-30, 25])
def test_chords_follow_the_beats(cents: float) -> None:
    harmony = song(SEQUENCE, semitones=cents / 100)
    drums = clicks(120, harmony.shape[1] / RATE, first=0)[:, : harmony.shape[1]]
    found = chords(harmony, np.pad(drums, ((0, 0), (0, harmony.shape[1] - drums.shape[1]))))
    assert tuple(chord.name for chord in found) == SEQUENCE
    for number, chord in enumerate(found):
        assert chord.start == pytest.approx(2 * number, abs=0.26)
        assert chord.end == pytest.approx(2 * number + 2, abs=0.26)


def test_every_triad_is_named() -> None:
    """Of pitch classes alone, which costs less than of songs."""
    for key in (Key(tonic, mode) for mode in THIRD for tonic in range(12)):
        frames = np.full((40, 12), 0.02)
        frames[:, [(key.tonic + note) % 12 for note in (0, THIRD[key.mode], 7)]] = (1.0, 0.7, 0.8)
        [chord] = estimate_chords(frames, 10.0, (), 4.0)
        assert chord == Chord(0.0, 4.0, key) and chord.name == key.short


def test_silence_and_noise_have_no_chords() -> None:
    silence = np.zeros((1, 4 * RATE), np.float32)
    assert chords(silence) == ()
    found = chords(np.concatenate([song(("C",), 3.0), silence], axis=1))
    assert [chord.name for chord in found] == ["C"] and found[0].end < 5
    assert estimate_chords(np.zeros((0, 12)), 10.0, (), 3.0) == ()


@given(
    arrays.arrays(np.float64, st.tuples(st.integers(0, 40), st.just(12)), elements=st.floats(0, 1e6)),
    st.lists(st.integers(0, 10), max_size=8, unique=True).map(
        lambda beats: sorted(beat / 2 for beat in beats)
    ),
    st.floats(0, 5),
)
def test_chords_are_in_order_and_within_the_song(
    frames: np.ndarray, beats: list[float], seconds: float
) -> None:
    found = estimate_chords(frames, 10.0, [beat for beat in beats if beat < seconds], seconds)
    times = [time for chord in found for time in (chord.start, chord.end)]
    assert times == sorted(times) and all(0 <= time <= seconds for time in times)
    assert all(chord.end > chord.start for chord in found)
