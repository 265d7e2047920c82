"""Dynamics: gains are found at every 64th sample and ramped between, so that a whole song takes milliseconds."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter1d

from training.score import SAMPLE_RATE, Audio

Curve = NDArray[np.float32]
BLOCK: Final = 64
_FLOOR: Final = 1e-7


def decibels(amplitude: Curve) -> Curve:
    """20 log10, never below −140."""
    return 20 * np.log10(np.maximum(amplitude, _FLOOR))


def amplitude(level: float) -> float:
    """The inverse of `decibels`."""
    return float(10 ** (level / 20))


def active_level(audio: Audio) -> float:
    """Decibels (RMS over channels) of what sounds: of the stretches less than 30 dB below the loudest one."""
    power = _blocks(audio, 4096, np.mean, square=True)
    return float(10 * np.log10(max(power[power >= power.max() * 1e-3].mean(), _FLOOR**2)))


def envelope(audio: Audio) -> Curve:
    """The RMS level in decibels of each block of 64 samples, all channels together."""
    return decibels(np.sqrt(_blocks(audio, BLOCK, np.mean, square=True)))


def follow(curve: Curve, fall: float, rise: float) -> Curve:
    """One-pole smoothing of a curve of blocks, with time constants in seconds for going down and up."""
    down, up = (1 - np.exp(-BLOCK / SAMPLE_RATE / max(seconds, 1e-5)) for seconds in (fall, rise))
    value, out = float(curve[0]), []
    for target in curve.tolist():
        value += (down if target < value else up) * (target - value)
        out.append(value)
    return np.array(out, np.float32)


def ramp(curve: Curve, length: int, block: int = BLOCK) -> Curve:
    """A curve of block boundaries (one more than blocks, or its last value stays) as one of ``length`` samples."""
    nodes = np.append(curve, curve[-1]).astype(np.float32)
    steps = np.arange(block, dtype=np.float32) / block
    return (nodes[:-1, None] + np.diff(nodes)[:, None] * steps).reshape(-1)[:length]


def apply(audio: Audio, gain: Curve) -> Audio:
    """``[C, n]`` with a curve of gains in decibels."""
    return audio * ramp(10 ** (gain / 20), audio.shape[-1])


def compression(audio: Audio, threshold: float, ratio: float, attack: float, release: float) -> Curve:
    """A compressor's gain in decibels (soft knee of 6 dB); threshold in dB relative to the active level."""
    over = envelope(audio) - active_level(audio) - threshold
    over = np.where(np.abs(over) < 3, (over + 3) ** 2 / 12, np.maximum(over, 0))
    return follow(over * (1 / ratio - 1), attack, release)


def compress(audio: Audio, threshold: float, ratio: float, attack: float, release: float) -> Audio:
    """Compressed ``[C, n]``; the parameters are those of `compression`."""
    return apply(audio, compression(audio, threshold, ratio, attack, release))


def limiting(audio: Audio, ceiling: float, release: float) -> Curve:
    """A limiter's gain in decibels that holds every sample at or below the ceiling (linear), with look-ahead."""
    need = np.minimum(decibels(ceiling / np.maximum(_blocks(audio, BLOCK, np.max), _FLOOR)), 0)
    # A node stands between two blocks and serves both.
    nodes = np.minimum(np.append(need, need[-1]), np.insert(need, 0, need[0]))
    return follow(minimum_filter1d(nodes, 5), 0, release)


def limit(audio: Audio, ceiling: float = 0.9, release: float = 0.08) -> Audio:
    """Limited ``[C, n]``."""
    return apply(audio, limiting(audio, ceiling, release))


def gate(audio: Audio, threshold: float, release: float, depth: float, key: Audio | None = None) -> Audio:
    """Turned down by ``depth`` dB where the key (itself unless given) is below threshold dB of its active level."""
    key = audio if key is None else key
    shut = follow(envelope(key), 0.02, 0.0) < active_level(key) + threshold
    return apply(audio, follow(np.where(shut, -depth, 0).astype(np.float32), release, 0.001))


def shape_transients(audio: Audio, attack: float, sustain: float) -> Audio:
    """Attacks and what rings after them louder or softer by up to so many decibels, at any level."""
    level = np.maximum(envelope(audio), active_level(audio) - 50)
    onset = follow(level, 0.03, 0.0005) - follow(level, 0.03, 0.03)
    ring = follow(level, 0.25, 0.001) - follow(level, 0.03, 0.001)
    gain = attack * np.clip(onset / 12, 0, 1) + sustain * np.clip(ring / 12, 0, 1)
    return apply(audio, follow(gain, 0.002, 0.002))


def _blocks(audio: Audio, size: int, reduce: object, square: bool = False) -> Curve:
    count = -(-audio.shape[-1] // size)
    padded = np.zeros((len(audio), count * size), np.float32)
    padded[:, : audio.shape[-1]] = np.square(audio) if square else np.abs(audio)
    return reduce(padded.reshape(len(audio), count, size), axis=(0, 2))
