"""Loudness and true peak: the test signals of EBU Tech 3341, synthesized, and silence."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soxr

from stemsplitter.audio.levels import Level, Levels

Samples = npt.NDArray[np.float32]
RATE = 48_000


def tone(decibels: float, seconds: float, hertz: float = 1000, phase: float = 0, rate: int = RATE) -> Samples:
    times = np.arange(round(seconds * rate)) / rate
    wave = 10 ** (decibels / 20) * np.sin(2 * np.pi * hertz * times + phase)
    return np.stack([wave, wave]).astype(np.float32)


def level(signal: Samples, rate: int = RATE, block: int = 65_536) -> Level:
    levels = Levels(["vocals"], rate, len(signal))
    for start in range(0, signal.shape[1], block):
        levels.add({"vocals": signal[:, start : start + block]})
    return levels.result()["vocals"]


@pytest.mark.parametrize("rate", [44_100, 48_000, 96_000])
@pytest.mark.parametrize(
    ("parts", "loudness"),
    [
        ([(-23, 20)], -23),
        ([(-33, 20)], -33),
        ([(-36, 10), (-23, 60), (-36, 10)], -23),
        ([(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)], -23),
        ([(-26, 20), (-20, 20.1), (-26, 20)], -23),
    ],
)
def test_integrated_loudness_of_tech_3341(
    parts: list[tuple[float, float]], loudness: float, rate: int
) -> None:
    """Cases 1 to 5, with their tolerance of 0.1 LU."""
    signal = np.concatenate([tone(*part, rate=rate) for part in parts], axis=1)
    assert level(signal, rate).loudness == pytest.approx(loudness, abs=0.1)


@pytest.mark.parametrize(
    ("divisor", "phase", "decibels"),
    [(4, 0, -6.02), (4, 45, -6.02), (6, 60, -6.02), (8, 67.5, -6.02), (4, 45, 3)],
)
def test_true_peak_of_tech_3341(divisor: int, phase: float, decibels: float) -> None:
    """Cases 15 to 19, with their tolerance of +0.2 and -0.4 dB; faded, as a tone that starts abruptly is louder."""
    signal = tone(decibels, 1, RATE / divisor, np.radians(phase))
    ramp = np.minimum(np.arange(RATE) / 4800, 1).astype(np.float32)
    measured = level(signal * ramp * ramp[::-1]).true_peak
    assert measured is not None and decibels - 0.4 <= measured <= decibels + 0.2


@pytest.mark.parametrize("block", [97, 4096, 65_536, 200_000])
def test_result_does_not_depend_on_the_blocks(noise: Callable[..., Samples], block: int) -> None:
    signal = noise(150_001)
    assert level(signal, 44_100, block) == level(signal, 44_100, 150_001)


def test_true_peak_is_that_of_an_oversampled_signal(noise: Callable[..., Samples]) -> None:
    signal = np.clip(noise(100_000) * 6, -0.9, 0.9)
    oversampled = np.abs(soxr.resample(signal.T, 1, 4, quality="VHQ")).max()
    assert level(signal, 44_100).true_peak == pytest.approx(20 * np.log10(oversampled), abs=0.05)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the ffmpeg command is not installed")
def test_ffmpeg_command_measures_the_same_loudness(
    tmp_path: Path, noise: Callable[..., Samples], write: Callable[..., Path]
) -> None:
    signal = noise(441_000) * np.linspace(0.01, 1, 441_000, dtype=np.float32)
    path = write(tmp_path / "song.wav", signal, "wav32f")
    command = ["ffmpeg", "-nostats", "-i", path, "-af", "ebur128", "-f", "null", "-"]
    told = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True).stderr
    expected = float(told.rpartition("I:")[2].split()[0])
    assert level(signal, 44_100).loudness == pytest.approx(expected, abs=0.1)


def test_silence_has_no_level() -> None:
    assert level(np.zeros((2, RATE), np.float32)) == Level(None, None)
    assert level(np.zeros((1, RATE), np.float32)).is_silent
    assert level(np.zeros((2, 0), np.float32)).is_silent


def test_stem_of_one_hit_is_not_silent() -> None:
    signal = np.zeros((2, 30 * RATE), np.float32)
    signal[:, RATE : RATE + 20_000] = tone(-12, 1)[:, :20_000]
    assert not level(signal).is_silent
    assert level(tone(-60, 10)).is_silent


def test_gain_after_the_measurement_shifts_the_levels() -> None:
    levels = Levels(["bass"], RATE, 2)
    levels.add({"bass": tone(-10, 5)})
    plain, scaled = levels.result()["bass"], levels.result(0.5)["bass"]
    assert plain.loudness is not None and plain.true_peak is not None
    assert scaled.loudness == pytest.approx(plain.loudness - 6.02, abs=0.02)
    assert scaled.true_peak == pytest.approx(plain.true_peak - 6.02, abs=0.02)
