"""The room of the reverb, and the ceiling of the limiter."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemsplitter.effects import Effect, Limiter, Reverb, apply
from stemsplitter.effects.reverb import impulse_response
from stemsplitter.errors import RequestError

RATE = 44_100


def run(effect: Effect, song: np.ndarray, block: int = 65536) -> np.ndarray:
    blocks = (song[:, start : start + block] for start in range(0, song.shape[1], block))
    return np.concatenate(list(apply(effect, blocks)), axis=1)


def test_reverb_is_a_convolution() -> None:
    rate, song = 8000, np.random.default_rng(0).standard_normal((2, 9000)).astype(np.float32)
    response = impulse_response(rate, 2, 0.3)
    result = run(Reverb(rate, 2, 0.3, 0.4), song)
    for channel in range(2):
        wet = np.convolve(song[channel], response[channel])
        wet[:9000] += song[channel] * (0.6 / 0.4)
        assert np.abs(result[channel] - 0.4 * wet).max() < 1e-4


def test_room_decays_by_60_db_and_its_channels_differ() -> None:
    response = impulse_response(RATE, 2, 2.0)
    energy = np.square(response[0])
    level = [10 * np.log10(energy[int(at * RATE) : int((at + 0.1) * RATE)].mean()) for at in (0.2, 1.2)]
    assert 25 < level[0] - level[1] < 45  # the middle band falls by 30 dB in this time, the highs faster
    assert abs(np.corrcoef(response)[0, 1]) < 0.1
    assert np.allclose(np.square(response).sum(axis=1), 1)


def test_dry_reverb_returns_the_song() -> None:
    song = np.random.default_rng(0).standard_normal((1, 5000)).astype(np.float32)
    assert np.abs(run(Reverb(8000, 1, 0.2, 0.0), song)[:, :5000] - song).max() < 1e-5


@pytest.mark.parametrize(("decay", "wet"), [(0, 0.5), (21, 0.5), (1, -0.1), (1, 1.1), (float("nan"), 0.5)])
def test_reverb_out_of_range_is_refused(decay: float, wet: float) -> None:
    with pytest.raises(RequestError, match="choose from"):
        Reverb(RATE, 2, decay, wet)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    samples=st.integers(1, 5000),
    block=st.integers(50, 3000),
    loudness=st.floats(0.1, 20),
)
def test_limiter_never_exceeds_its_ceiling(seed: int, samples: int, block: int, loudness: float) -> None:
    song = np.random.default_rng(seed).standard_normal((2, samples)).astype(np.float32) * np.float32(loudness)
    limited = run(Limiter(2), song, block)
    assert limited.shape == song.shape
    assert np.abs(limited).max() <= 1


def test_limiter_leaves_what_is_under_its_ceiling() -> None:
    song = np.random.default_rng(0).uniform(-1, 1, (2, 100_000)).astype(np.float32)
    assert np.array_equal(run(Limiter(2), song), song)


def test_limiter_lowers_the_gain_smoothly_around_a_peak() -> None:
    song = np.full((1, 50_000), 0.5, np.float32)
    song[0, 20_000] = 2.0
    limited = run(Limiter(1), song)
    assert limited[0, 20_000] == pytest.approx(1, abs=1e-3)
    assert np.array_equal(limited[0, :19_000], song[0, :19_000])
    assert np.abs(np.diff(np.delete(limited[0], 20_000))).max() < 0.002
    assert limited[0, -1] == 0.5
