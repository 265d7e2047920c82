"""Mixing, compared with bit-exact integer sums."""

import math
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemsplitter.audio.decode import open_source
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.mixing import Mixed, Part, pan_matrix, write_mix
from stemsplitter.audio.tags import Tags
from stemsplitter.errors import AudioError

Samples = npt.NDArray[np.float32]
Write = Callable[..., Path]
Decode = Callable[..., Samples]

LENGTH = 150_001  # two whole blocks and a part of one


def steps(seed: int, bits: int, share: float, channels: int = 2) -> npt.NDArray[np.int64]:
    """Generate noise as integers of ``bits``, up to ``share`` of full scale."""
    top = int(share * (1 << (bits - 1)))
    return np.random.default_rng(seed).integers(-top, top + 1, (channels, LENGTH))


def stored(
    folder: Path, write: Write, values: list[npt.NDArray[np.int64]], bits: int, fmt: str
) -> list[Path]:
    ending = OutputFormat.parse(fmt).extension
    full = 1 << (bits - 1)
    return [
        write(folder / f"{number}.{ending}", (value / full).astype(np.float32), fmt)
        for number, value in enumerate(values)
    ]


def mix(parts: list[Part], path: Path, fmt: str) -> Mixed:
    return write_mix(parts, path, OutputFormat.parse(fmt))


@pytest.mark.parametrize(
    ("bits", "stems", "to"),
    [
        (16, "wav16", "wav16"),
        (16, "flac16", "wav24"),
        (24, "flac", "wav"),
        (24, "wav", "flac"),
        (24, "wav", "wav32f"),
    ],
)
def test_mix_at_zero_db_is_the_bit_exact_sum(
    tmp_path: Path, write: Write, decode: Decode, bits: int, stems: str, to: str
) -> None:
    values = [steps(seed, bits, 1 / 6) for seed in range(6)]
    paths = stored(tmp_path, write, values, bits, stems)
    path = tmp_path / f"mix.{OutputFormat.parse(to).extension}"
    done = mix([Part(stem) for stem in paths], path, to)
    total = sum(values)
    np.testing.assert_array_equal(decode(path).astype(np.float64) * (1 << (bits - 1)), total)
    assert (done.samples, done.sample_rate, done.gain) == (LENGTH, 44_100, 1)
    assert done.peak == np.abs(total).max() / (1 << (bits - 1))


def test_gain_and_pan_are_applied(tmp_path: Path, write: Write, decode: Decode) -> None:
    values = [steps(seed, 16, 0.4) for seed in range(3)]
    paths = stored(tmp_path, write, values, 16, "wav16")
    parts = [Part(paths[0], gain_db=-6), Part(paths[1], pan=-1), Part(paths[2], gain_db=3, pan=0.5)]
    mix(parts, tmp_path / "mix.wav", "wav32f")
    first, second, third = (value / (1 << 15) for value in values)
    half, gain = math.sqrt(0.5), 10 ** (3 / 20)
    left = first[0] * 10**-0.3 + second[0] + second[1] + gain * third[0] * half
    right = first[1] * 10**-0.3 + gain * (third[1] + third[0] * half)
    np.testing.assert_allclose(decode(tmp_path / "mix.wav"), [left, right], atol=2**-24)


@given(pan=st.floats(-1, 1), gain_db=st.floats(-60, 12))
def test_pan_law_keeps_the_power_of_the_moved_side(pan: float, gain_db: float) -> None:
    matrix = pan_matrix(gain_db, pan, 2, 2)
    moved = 0 if pan > 0 else 1
    assert np.sum(matrix[:, moved] ** 2) == pytest.approx(10 ** (gain_db / 10))
    mono = pan_matrix(gain_db, pan, 2, 1)
    np.testing.assert_allclose(mono[:, 0], matrix.sum(axis=1))


def test_matrix_at_center_and_zero_db_is_the_identity() -> None:
    np.testing.assert_array_equal(pan_matrix(0.0, 0.0, 2, 2), np.eye(2))
    np.testing.assert_array_equal(pan_matrix(0.0, 0.0, 2, 1), np.ones((2, 1)))
    np.testing.assert_array_equal(pan_matrix(0.0, 0.0, 1, 1), np.ones((1, 1)))


def test_mono_stays_mono_unless_panned(tmp_path: Path, write: Write, decode: Decode) -> None:
    (value,) = values = [steps(1, 24, 0.5, channels=1)]
    (stem,) = stored(tmp_path, write, values, 24, "wav")
    mix([Part(stem)], tmp_path / "mono.wav", "wav")
    mix([Part(stem, pan=1)], tmp_path / "right.wav", "wav32f")
    np.testing.assert_array_equal(decode(tmp_path / "mono.wav") * 2**23, value)
    left, right = decode(tmp_path / "right.wav")
    np.testing.assert_allclose(left, 0, atol=1e-9)
    np.testing.assert_allclose(right, 2 * value[0] / 2**23, atol=1e-7)


@pytest.mark.parametrize("loud_from", [0, 100_000])
@pytest.mark.parametrize("fmt", ["wav16", "wav", "flac", "aiff", "alac"])
def test_sum_over_full_scale_gets_one_gain(
    tmp_path: Path, write: Write, decode: Decode, noise: Callable[..., Samples], fmt: str, loud_from: int
) -> None:
    value = noise(120_000)
    value[0, loud_from] = -0.8
    stem = write(tmp_path / "stem.wav", value, "wav")
    path = tmp_path / f"mix.{OutputFormat.parse(fmt).extension}"
    done = mix([Part(stem), Part(stem)], path, fmt)
    assert (done.peak, done.gain, done.samples) == (pytest.approx(1.6), pytest.approx(1 / 1.6), 120_000)
    mixture = decode(path)
    np.testing.assert_allclose(mixture, value * 2 * done.gain, atol=2.0 ** (2 - OutputFormat.parse(fmt).bits))
    assert np.abs(mixture).max() == 1


@pytest.mark.parametrize("fmt", ["mp3", "opus", "m4a"])
def test_lossy_mix_is_within_full_scale_before_encoding(
    tmp_path: Path, write: Write, decode: Decode, noise: Callable[..., Samples], fmt: str
) -> None:
    value = noise(60_000)
    stem = write(tmp_path / "stem.wav", value, "wav", 48_000)
    done = mix([Part(stem, gain_db=12)], tmp_path / f"mix.{fmt}", fmt)
    gain = 10 ** (12 / 20)
    assert (done.peak, done.gain) == (pytest.approx(gain / 2), pytest.approx(2 / gain))
    mixture, wanted = decode(tmp_path / f"mix.{fmt}"), value * 2
    assert np.sqrt(np.mean((mixture - wanted) ** 2)) < 0.2 * np.sqrt(np.mean(wanted**2))


def test_float_mix_keeps_samples_over_full_scale(tmp_path: Path, write: Write, decode: Decode) -> None:
    value = np.array([[0.75, -0.75, 0.5, -0.5, 0.25]], np.float32)
    stem = write(tmp_path / "stem.wav", value, "wav")
    kept = mix([Part(stem), Part(stem)], tmp_path / "float.wav", "wav32f")
    np.testing.assert_array_equal(decode(tmp_path / "float.wav"), value * 2)
    assert (kept.peak, kept.gain) == (1.5, 1)


def test_sum_at_the_limits_of_integers_is_not_scaled(tmp_path: Path, write: Write, decode: Decode) -> None:
    value = np.array([[0.5 - 2.0**-23, -0.5]], np.float32)
    stem = write(tmp_path / "stem.wav", value, "wav")
    done = mix([Part(stem), Part(stem)], tmp_path / "mix.wav", "wav")
    np.testing.assert_array_equal(decode(tmp_path / "mix.wav"), value * 2)
    assert done.gain == 1


def test_mix_of_mp3_stems_to_mp3_is_aligned(
    tmp_path: Path, write: Write, decode: Decode, noise: Callable[..., Samples], offset: Callable[..., int]
) -> None:
    voices = [noise(60_000, seed=seed) for seed in range(2)]
    parts = [Part(write(tmp_path / f"{number}.mp3", voice, "mp3")) for number, voice in enumerate(voices)]
    mix(parts, tmp_path / "mix.mp3", "mp3")
    got, wanted = decode(tmp_path / "mix.mp3"), voices[0] + voices[1]
    assert got.shape == wanted.shape and offset(wanted, got) == 0
    assert np.sqrt(np.mean((got - wanted) ** 2)) < 0.01 * np.sqrt(np.mean(wanted**2))


def test_rate_unsupported_by_mp3_is_converted(
    tmp_path: Path, write: Write, noise: Callable[..., Samples]
) -> None:
    stem = write(tmp_path / "stem.wav", noise(96_000), "wav", 96_000)
    done = mix([Part(stem)], tmp_path / "mix.mp3", "mp3")
    assert (done.sample_rate, done.samples) == (48_000, 48_000)


def test_mix_has_the_length_of_the_longest_stem(tmp_path: Path, write: Write, decode: Decode) -> None:
    value = (steps(3, 24, 0.4) / 2**23).astype(np.float32)
    long, short = (
        write(tmp_path / "a.wav", value, "wav"),
        write(tmp_path / "b.wav", value[:, :100_000], "wav"),
    )
    mix([Part(short), Part(long)], tmp_path / "mix.wav", "wav")
    wanted = value.copy()
    wanted[:, :100_000] *= 2
    np.testing.assert_array_equal(decode(tmp_path / "mix.wav"), wanted)


def test_memory_does_not_grow_with_the_length(tmp_path: Path, write: Write) -> None:
    def peak(seconds: int) -> int:
        stems = [
            write(tmp_path / f"{seconds}-{number}.wav", silence(seconds), "wav16") for number in range(2)
        ]
        tracemalloc.start()
        try:
            mix([Part(stem) for stem in stems], tmp_path / "mix.wav", "wav16")
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    def silence(seconds: int) -> Samples:
        return np.zeros((2, seconds * 44_100), np.float32)

    assert peak(40) < peak(10) * 1.2


def test_undecodable_stem_leaves_no_file(tmp_path: Path, write: Write, noise: Callable[..., Any]) -> None:
    stem = write(tmp_path / "stem.flac", noise(60_000), "flac")
    (tmp_path / "empty.flac").write_bytes(b"")
    with pytest.raises(AudioError):
        mix([Part(stem), Part(tmp_path / "empty.flac")], tmp_path / "mix.wav", "wav")
    assert not (tmp_path / "mix.wav").exists()


def test_tags_are_written(tmp_path: Path, write: Write, noise: Callable[..., Samples]) -> None:
    stem = write(tmp_path / "stem.wav", noise(4_000), "wav")
    write_mix([Part(stem)], tmp_path / "mix.mp3", OutputFormat.parse("mp3"), Tags(title="Lied"))
    with open_source(tmp_path / "mix.mp3") as source:
        assert source.info.tags.title == "Lied"
