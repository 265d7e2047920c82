"""Tempo and pitch: what is changed and what is kept."""

import math

import numpy as np
import pytest

from stemsplitter.effects import Effect, PitchShift, Speed, Stretch, apply
from stemsplitter.errors import RequestError

RATE = 44_100


def run(effect: Effect, song: np.ndarray) -> np.ndarray:
    return np.concatenate(list(apply(effect, [song])), axis=1)


def sine(frequency: float, seconds: float = 2.0) -> np.ndarray:
    time = np.arange(int(seconds * RATE)) / RATE
    return (0.5 * np.sin(2 * math.pi * frequency * time)).astype(np.float32)[None]


def remainder_db(samples: np.ndarray, frequency: float) -> float:
    """Level of what is left of the middle without a sine of that frequency, relative to it."""
    middle = samples[len(samples) // 4 : -len(samples) // 4].astype(float)
    angle = 2 * math.pi * frequency * np.arange(len(middle)) / RATE
    basis = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    rest = middle - basis @ np.linalg.lstsq(basis, middle, rcond=None)[0]
    return float(10 * np.log10(np.square(rest).sum() / np.square(middle).sum()))


def test_rate_of_1_returns_the_song() -> None:
    song = np.random.default_rng(0).standard_normal((2, 50_000)).astype(np.float32)
    assert np.abs(run(Stretch(RATE, 2, 1.0), song) - song).max() < 1e-5
    assert np.abs(run(PitchShift(RATE, 2, 0.0), song) - song).max() < 1e-5
    assert np.array_equal(run(Speed(RATE, 2, 1.0), song), song)


@pytest.mark.parametrize("rate", [0.7, 0.85, 1.25, 1.6])
def test_stretch_keeps_the_pitch(rate: float) -> None:
    assert remainder_db(run(Stretch(RATE, 1, rate), sine(441.3))[0], 441.3) < -60


@pytest.mark.parametrize("semitones", [-12, -3.5, 0.01, 2.5, 12])
def test_pitch_shift_is_exact_to_a_fraction_of_a_cent(semitones: float) -> None:
    shifted = run(PitchShift(RATE, 1, semitones), sine(441.3))[0]
    assert remainder_db(shifted, 441.3 * 2 ** (semitones / 12)) < -60
    # a tenth of a cent off, a sine of 1 s leaves this much
    assert remainder_db(shifted, 441.3 * 2 ** ((semitones + 0.1) / 12)) > -45


def test_speed_changes_the_pitch_with_the_tempo() -> None:
    assert remainder_db(run(Speed(RATE, 1, 1.25), sine(441.3))[0], 441.3 * 1.25) < -60


def test_hit_of_a_drum_stays_at_its_time() -> None:
    song = np.zeros((1, RATE), np.float32)
    hit = np.random.default_rng(0).standard_normal(4000) * np.exp(-np.arange(4000) / 1000)
    song[0, 20_000:24_000] = hit
    stretched = np.square(run(Stretch(RATE, 1, 0.8, drums=True), song)[0])
    before, after = stretched[20_000:24_950].sum(), stretched[25_000:30_000].sum()
    assert 10 * np.log10(before / after) < -30


def test_stereo_image_is_kept() -> None:
    left = np.random.default_rng(0).standard_normal((1, 30_000)).astype(np.float32)
    shifted = run(Stretch(RATE, 2, 0.8), np.concatenate([left, -0.5 * left]))
    assert np.abs(shifted[1] + 0.5 * shifted[0]).max() < 1e-5


def vowel(pitch: float) -> np.ndarray:
    """A pulse train through two resonances, at 700 and 1900 Hz."""
    count = 2 * RATE
    harmonics = np.arange(1, int(5000 / pitch)) * pitch
    level = sum(1 / (1 + ((harmonics - formant) / 120) ** 2) for formant in (700, 1900)) + 0.01
    time = np.arange(count) / RATE
    waves = [
        gain * np.cos(2 * math.pi * harmonic * time) for gain, harmonic in zip(level, harmonics, strict=True)
    ]
    return (0.05 * np.sum(waves, axis=0)).astype(np.float32)[None]


def center_hz(samples: np.ndarray) -> float:
    """Center of gravity of the spectrum around the upper resonance."""
    spectrum = np.abs(np.fft.rfft(samples[RATE // 2 : -RATE // 2]))
    frequency = np.fft.rfftfreq(len(samples[RATE // 2 : -RATE // 2]), 1 / RATE)
    band = (frequency > 1300) & (frequency < 3200)
    return float((spectrum[band] * frequency[band]).sum() / spectrum[band].sum())


def test_formants_stay_with_formants() -> None:
    song = vowel(150)
    center = center_hz(song[0])
    assert center_hz(run(PitchShift(RATE, 1, 5), song)[0]) > center + 300
    assert abs(center_hz(run(PitchShift(RATE, 1, 5, formants=True), song)[0]) - center) < 120


@pytest.mark.parametrize("rate", [0.2, 4.1, 0, -1, math.nan, math.inf])
def test_rate_out_of_range_is_refused(rate: float) -> None:
    with pytest.raises(RequestError, match=r"choose one from 0\.25 to 4\."):
        Stretch(RATE, 2, rate)
    with pytest.raises(RequestError, match=r"choose one from 0\.25 to 4\."):
        Speed(RATE, 2, rate)


@pytest.mark.parametrize("semitones", [12.01, -13, math.nan])
def test_semitones_out_of_range_are_refused(semitones: float) -> None:
    with pytest.raises(RequestError, match="choose from -12 to 12"):
        PitchShift(RATE, 2, semitones)
