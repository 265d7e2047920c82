"""Properties of all effects: exact length, blocks of any size, linearity, any rate and channel count."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemsplitter.effects import Effect, Limiter, PitchShift, Reverb, Speed, Stretch, apply

RATE = 8000
Make = Callable[[int, int], Effect]

EFFECTS: dict[str, Make] = {
    "stretch": lambda rate, channels: Stretch(rate, channels, 0.83),
    "stretch drums": lambda rate, channels: Stretch(rate, channels, 1.3, drums=True),
    "pitch up": lambda rate, channels: PitchShift(rate, channels, 2.5),
    "pitch down, formants": lambda rate, channels: PitchShift(rate, channels, -7, formants=True),
    "speed": lambda rate, channels: Speed(rate, channels, 1.25),
    "reverb": lambda rate, channels: Reverb(rate, channels, 0.4, 0.5),
    "limiter": lambda rate, channels: Limiter(channels, 0.5),
}
every_effect = pytest.mark.parametrize("make", EFFECTS.values(), ids=EFFECTS)


def noise(samples: int, channels: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((channels, samples)).astype(np.float32) * 0.3


def run(effect: Effect, samples: np.ndarray, block: int = 65536) -> np.ndarray:
    blocks = (samples[:, start : start + block] for start in range(0, samples.shape[1], block))
    return np.concatenate(list(apply(effect, blocks)), axis=1)


@every_effect
@pytest.mark.parametrize("block", [1000, 777])
def test_size_of_blocks_does_not_affect_the_result(make: Make, block: int) -> None:
    song = noise(20_000)
    whole, parts = run(make(RATE, 2), song), run(make(RATE, 2), song, block)
    assert parts.shape == whole.shape
    assert np.abs(parts - whole).max() < 1e-6


@every_effect
@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("rate", [8000, 44_100])
def test_any_rate_and_channel_count(make: Make, rate: int, channels: int) -> None:
    result = run(make(rate, channels), noise(3000, channels))
    assert result.dtype == np.float32
    assert len(result) == channels
    assert np.isfinite(result).all()


@every_effect
def test_silence_stays_silent(make: Make) -> None:
    assert not run(make(RATE, 1), np.zeros((1, 5000), np.float32)).any()


@every_effect
def test_one_sample_and_an_empty_stream(make: Make) -> None:
    assert np.isfinite(run(make(RATE, 1), np.ones((1, 1), np.float32))).all()
    effect = make(RATE, 1)
    rest = effect.flush()
    assert not rest.any()


@pytest.mark.parametrize("name", ["speed", "reverb"])
def test_linear(name: str) -> None:
    make = EFFECTS[name]
    a, b = noise(10_000, seed=1), noise(10_000, seed=2)
    summed = run(make(RATE, 2), a) + run(make(RATE, 2), 0.5 * b)
    assert np.abs(run(make(RATE, 2), a + np.float32(0.5) * b) - summed).max() < 1e-5


@settings(max_examples=25, deadline=None)
@given(samples=st.integers(1, 9000), rate=st.floats(0.25, 4.0), drums=st.booleans())
def test_length_of_a_stretch_and_of_a_speed_is_exact(samples: int, rate: float, drums: bool) -> None:
    song = noise(samples, 1)
    assert run(Stretch(RATE, 1, rate, drums=drums), song).shape == (1, round(samples / rate))
    assert run(Speed(RATE, 1, rate), song).shape == (1, round(samples / rate))


@settings(max_examples=25, deadline=None)
@given(samples=st.integers(1, 9000), semitones=st.floats(-12, 12), formants=st.booleans())
def test_length_of_a_pitch_shift_is_that_of_the_song(samples: int, semitones: float, formants: bool) -> None:
    song = noise(samples, 1)
    assert run(PitchShift(RATE, 1, semitones, formants=formants), song).shape == song.shape


@settings(max_examples=20, deadline=None)
@given(samples=st.integers(1, 9000), decay=st.floats(0.1, 1.0), channels=st.integers(1, 3))
def test_length_of_a_reverb_is_that_of_the_song_and_its_tail(
    samples: int, decay: float, channels: int
) -> None:
    effect = Reverb(RATE, channels, decay)
    assert run(effect, noise(samples, channels)).shape == (channels, samples + effect.tail)
