"""Effects that move: chorus, flanger, phaser, tremolo, wah, auto-pan, time warps."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.interpolate import CubicSpline

from training.effects.dynamics import BLOCK, Curve, active_level, envelope, follow, ramp
from training.score import SAMPLE_RATE, Audio

_FRAME: Final = 1024
_HOP: Final = _FRAME // 2
_FREQUENCIES: Final = (fft.rfftfreq(_FRAME, 1 / SAMPLE_RATE) + 1).astype(np.float32)[None]
Response = Callable[[NDArray[np.float32]], NDArray[np.complex64]]


def delay_by(audio: Audio, seconds: Curve) -> Audio:
    """``[C, n]`` late by a curve of n seconds (early where negative), linearly interpolated."""
    samples = seconds * np.float32(SAMPLE_RATE)
    whole = np.ceil(samples)
    index = np.arange(audio.shape[-1], dtype=np.int32) - whole.astype(np.int32)
    before, after = audio.take(index, axis=-1, mode="clip"), audio.take(index + 1, axis=-1, mode="clip")
    return before + (whole - samples) * (after - before)


def warp(audio: Audio, seconds: float, random: np.random.Generator) -> Audio:
    """Another take of the same: timing wanders by about ``seconds``, and the pitch by a few cents with it."""
    length = audio.shape[-1]
    nodes = max(4, round(length / SAMPLE_RATE / random.uniform(1.5, 3.5)) + 2)
    spline = CubicSpline(np.linspace(0, length, nodes), random.normal(0, seconds, nodes))
    return delay_by(audio, ramp(spline(np.arange(0, length, BLOCK)), length))


def low_frequency(length: int, hertz: float, phase: float) -> Curve:
    """A sine of n samples; the phase in turns."""
    turns = np.arange(0, length, BLOCK) * (hertz / SAMPLE_RATE) + phase
    return ramp(np.sin(2 * np.pi * turns), length)


def chorus(audio: Audio, random: np.random.Generator, voices: int = 2) -> Audio:
    """``[1 or 2, n]`` → ``[2, n]``: the dry sound and, left and right, wandering copies of its sum."""
    length, mono = audio.shape[-1], audio.mean(axis=0, keepdims=True)
    rate, depth, wet = random.uniform(0.15, 1.6), random.uniform(0.0008, 0.003), random.uniform(0.3, 0.8)
    out = np.repeat(audio, 2, axis=0)[-2:] if len(audio) == 1 else audio.copy()
    for voice in range(voices):
        curve = random.uniform(0.007, 0.025) + depth * low_frequency(length, rate, random.random())
        out[voice % 2] += wet * delay_by(mono, curve.astype(np.float32))[0]
    return out


def flanger(audio: Audio, random: np.random.Generator) -> Audio:
    """``[C, n]`` and a copy 0.5 to 6 ms late, swept slowly."""
    centre = random.uniform(0.0015, 0.0035)
    sweep = low_frequency(audio.shape[-1], random.uniform(0.05, 0.6), random.random())
    late = delay_by(audio, centre + (centre - 0.0005) * sweep)
    return audio + random.choice([-1, 1]).astype(np.float32) * np.float32(random.uniform(0.5, 0.9)) * late


def phaser(audio: Audio, random: np.random.Generator) -> Audio:
    """``[C, n]`` and itself through 4 to 8 all-passes whose corner is swept."""
    stages, depth = int(random.choice([4, 6, 8])), random.uniform(0.5, 1)
    turns = _times(audio) * random.uniform(0.1, 1.5) + random.random()
    corners = random.uniform(400, 1200) * 2 ** (random.uniform(0.7, 1.8) * np.sin(2 * np.pi * turns))

    def response(corner: NDArray[np.float32]) -> NDArray[np.complex64]:
        phase = -2 * stages * np.arctan(_FREQUENCIES / corner)
        return (1 + depth * np.cos(phase) + 1j * depth * np.sin(phase)) / (1 + depth)

    return _swept(audio, corners, response)


def wah(audio: Audio, random: np.random.Generator) -> Audio:
    """``[C, n]`` through a resonance that follows the playing, or a foot."""
    if random.random() < 0.6:
        level = follow(envelope(audio), 0.12, random.uniform(0.005, 0.04)) - active_level(audio)
        position = np.interp(
            _times(audio), np.arange(len(level)) * BLOCK / SAMPLE_RATE, np.clip(level / 24 + 0.6, 0, 1)
        )
    else:
        position = 0.5 + 0.5 * np.sin(2 * np.pi * (_times(audio) * random.uniform(0.4, 3) + random.random()))
    corners = random.uniform(300, 500) * random.uniform(3.5, 5.5) ** position
    q = random.uniform(2, 6)

    def response(corner: NDArray[np.float32]) -> NDArray[np.complex64]:
        ratio = _FREQUENCIES / corner
        return (0.15 + 1j * ratio / (1 - ratio**2 + 1j * ratio / q)).astype(np.complex64)

    return _swept(audio, corners, response)


def filter_sweep(audio: Audio, random: np.random.Generator) -> Audio:
    """``[C, n]`` through a synthesiser's resonant low-pass, opening and closing over seconds."""
    turns = _times(audio) * random.uniform(0.03, 0.5) + random.random()
    corners = random.uniform(600, 3000) * 2 ** (random.uniform(0.5, 2) * np.sin(2 * np.pi * turns))
    q = random.uniform(0.7, 3)

    def response(corner: NDArray[np.float32]) -> NDArray[np.complex64]:
        ratio = _FREQUENCIES / corner
        return (1 / (1 - ratio**2 + 1j * ratio / q)).astype(np.complex64)

    return _swept(audio, corners, response)


def tremolo(audio: Audio, random: np.random.Generator) -> Audio:
    """``[C, n]``, louder and softer 3 to 9 times a second."""
    depth = random.uniform(0.2, 0.8)
    wave = low_frequency(audio.shape[-1], random.uniform(3, 9), random.random())
    return audio * (1 - depth * (0.5 + 0.5 * np.tanh(random.uniform(0.5, 3) * wave)))


def auto_pan(audio: Audio, random: np.random.Generator) -> Audio:
    """``[2, n]``, wandering between left and right."""
    wave = random.uniform(0.2, 0.9) * low_frequency(audio.shape[-1], random.uniform(0.1, 6), random.random())
    return audio * np.sqrt(np.stack([1 - wave, 1 + wave]))


def pump(audio: Audio, random: np.random.Generator) -> Audio:
    """``[C, n]``, ducked on every beat of a random tempo, as under a kick."""
    beats = (
        np.arange(0, audio.shape[-1], BLOCK) / SAMPLE_RATE * random.uniform(100, 140) / 60 + random.random()
    )
    dip = np.exp(-((beats % 1) * random.uniform(3, 7)))
    return audio * ramp(1 - random.uniform(0.3, 0.9) * dip, audio.shape[-1])


def _times(audio: Audio) -> NDArray[np.float64]:
    return np.arange(-(-audio.shape[-1] // _HOP) + 1) * (_HOP / SAMPLE_RATE)


def _swept(audio: Audio, corners: NDArray[np.float64], response: Response) -> Audio:
    """A filter whose corner changes from frame to frame, in the short-time spectrum (sine windows sum to one)."""
    length, frames = audio.shape[-1], len(corners)
    window = np.sin(np.pi * (np.arange(_FRAME, dtype=np.float32) + 0.5) / _FRAME)
    padded = np.zeros((len(audio), (frames + 1) * _HOP), np.float32)
    padded[:, _HOP : _HOP + length] = audio
    view = np.lib.stride_tricks.sliding_window_view(padded, _FRAME, axis=-1)[:, ::_HOP]
    spectrum = fft.rfft(view * window) * response(corners[:, None].astype(np.float32)).astype(np.complex64)
    pieces = (fft.irfft(spectrum, _FRAME) * window).reshape(len(audio), frames, 2, _HOP)
    out = np.zeros((len(audio), frames + 1, _HOP), np.float32)
    out[:, :-1] += pieces[:, :, 0]
    out[:, 1:] += pieces[:, :, 1]
    return out.reshape(len(audio), -1)[:, _HOP : _HOP + length]
