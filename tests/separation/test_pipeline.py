"""The stream: length, order, sum, bounds, early exit and errors."""

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stemsplitter.separation.pipeline import Piece, read_ahead, separate_stream
from tests.separation.toy_model import ToyModel

Waveform = NDArray[np.float32]
Noise = Callable[..., Waveform]


def _blocks(song: Waveform, size: int) -> Iterator[Waveform]:
    for start in range(0, song.shape[1], size):
        yield song[:, start : start + size]


def _run(model: ToyModel, song: Waveform, rate: int = 44_100, size: int = 1_000) -> list[Piece]:
    return list(separate_stream(model, _blocks(song, size), rate, len(song)))


def _join(pieces: list[Piece]) -> Waveform:
    return np.concatenate([piece.stems for piece in pieces], axis=-1)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    samples=st.integers(1, 20_000),
    channels=st.integers(1, 2),
    size=st.integers(100, 9_000),
    rate=st.sampled_from([44_100, 48_000, 22_050, 96_000]),
)
def test_stems_have_the_length_of_the_song_and_sum_to_it(
    samples: int, channels: int, size: int, rate: int
) -> None:
    song = (np.random.default_rng(samples).standard_normal((channels, samples)) / 8).astype(np.float32)
    pieces = _run(ToyModel(), song, rate, size)
    stems = _join(pieces)
    assert stems.shape == (4, channels, samples)
    residual = np.abs(stems.sum(axis=0) - song).max()
    assert residual < 10 ** (-100 / 20)
    assert max(piece.residual for piece in pieces) == pytest.approx(residual)


def test_stems_do_not_depend_on_blocks_or_concurrency(noise: Noise) -> None:
    song = noise(50_000)
    one = _join(_run(ToyModel(concurrency=1), song, size=50_000))
    many = _join(_run(ToyModel(concurrency=4), song, size=777))
    np.testing.assert_array_equal(one, many)


def test_absent_stems_are_silent_and_the_others_sum_to_the_song(noise: Noise) -> None:
    song = noise(20_000)
    pieces = separate_stream(ToyModel(), [song], 44_100, 2, ("vocals", "drums"))
    drums, bass, other, vocals = _join(list(pieces))
    assert not bass.any() and not other.any()
    np.testing.assert_allclose(drums, song * (0.4 + 0.4 * 0.8), atol=1e-5)  # energies of 0.4² and 0.2²
    np.testing.assert_allclose(drums + vocals, song, atol=1e-6)


def test_the_network_is_told_the_instruments(noise: Noise) -> None:
    told: list[tuple[str, ...]] = []

    class Listening(ToyModel):
        def for_instruments(self, instruments: tuple[str, ...]) -> "Listening":
            told.append(instruments)
            return self

    list(separate_stream(Listening(), [noise(10_000)], 44_100, 2, ("drums",)))
    assert told == [("drums",)]


def test_mono_is_separated_as_two_equal_channels(noise: Noise) -> None:
    song = noise(12_000, 1)
    mono = _join(_run(ToyModel(), song))
    stereo = _join(_run(ToyModel(), np.repeat(song, 2, axis=0)))
    np.testing.assert_allclose(mono[:, 0], stereo[:, 0], atol=1e-6)


def test_silence_stays_silent() -> None:
    stems = _join(_run(ToyModel(), np.zeros((2, 10_000), np.float32)))
    assert stems.shape == (4, 2, 10_000)
    assert not stems.any()


def test_a_constant_offset_is_kept() -> None:
    song = np.full((2, 9_000), 0.25, np.float32)
    np.testing.assert_allclose(_join(_run(ToyModel(), song)).sum(axis=0), song, atol=1e-6)


def test_read_ahead_is_bounded(noise: Noise) -> None:
    song, read, finished = noise(400_000), 0, 0

    def counted() -> Iterator[Waveform]:
        nonlocal read
        for block in _blocks(song, 1_000):
            read += block.shape[1]
            yield block

    ahead = []
    for piece in separate_stream(ToyModel(), counted(), 44_100, 2):
        finished += piece.stems.shape[2]
        ahead.append(read - finished)
    # four segments, the samples that the consistency step holds, and the blocks read ahead
    assert max(ahead) < 5 * ToyModel.segment + 2_048 + 20 * 1_000


def test_an_early_exit_ends_all_threads(noise: Noise, toy_model: ToyModel) -> None:
    before = threading.active_count()
    pieces = separate_stream(toy_model, _blocks(noise(400_000), 1_000), 44_100, 2)
    next(pieces)
    pieces.close()
    assert threading.active_count() == before
    assert toy_model.calls < 12


def test_an_error_of_the_network_is_raised(noise: Noise, toy_model: ToyModel) -> None:
    before = threading.active_count()
    toy_model.fail_at = 3
    with pytest.raises(RuntimeError, match="the network broke"):
        _run(toy_model, noise(60_000))
    assert threading.active_count() == before


def test_an_error_while_reading_is_raised(noise: Noise, toy_model: ToyModel) -> None:
    def broken() -> Iterator[Waveform]:
        yield noise(20_000)
        raise OSError("the disk broke")

    with pytest.raises(OSError, match="the disk broke"):
        list(separate_stream(toy_model, broken(), 44_100, 2))


def test_read_ahead_keeps_order_and_its_bound() -> None:
    made = []

    def numbers() -> Iterator[int]:
        for number in range(50):
            made.append(number)
            yield number

    items = read_ahead(numbers(), 3)
    assert next(items) == 0
    time.sleep(0.05)
    assert len(made) <= 6
    assert list(items) == list(range(1, 50))
