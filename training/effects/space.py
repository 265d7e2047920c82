"""Position of a sound: panorama, width, echoes and rooms (stereo impulse responses made of noise)."""

import numpy as np
from scipy import fft
from scipy.signal import sosfilt

from training.effects.dynamics import amplitude
from training.effects.filters import convolve, equalise, high_pass, impulse_response, low_pass
from training.score import SAMPLE_RATE, Audio


def pan(mono: Audio, position: float) -> Audio:
    """``[1, n]`` → ``[2, n]`` at −1 (left) … 1 (right), of equal power."""
    angle = (position + 1) * np.pi / 4
    return mono * np.array([[np.cos(angle)], [np.sin(angle)]], np.float32) * np.float32(np.sqrt(2))


def widen(stereo: Audio, width: float) -> Audio:
    """``[2, n]`` with its side signal times width: 0 is mono, 1 as it was."""
    middle, side = (stereo[0] + stereo[1]) / 2, np.float32(width / 2) * (stereo[0] - stereo[1])
    return np.stack([middle + side, middle - side])


def haas(stereo: Audio, random: np.random.Generator) -> Audio:
    """``[2, n]`` with one channel 6 to 28 ms late."""
    out, late = stereo.copy(), int(random.uniform(0.006, 0.028) * SAMPLE_RATE)
    channel = int(random.integers(2))
    out[channel] = np.concatenate([np.zeros(late, np.float32), stereo[channel]])[: stereo.shape[-1]]
    return out


def reverberate(stereo: Audio, kind: str, level: float, random: np.random.Generator) -> Audio:
    """``[2, n]`` and its sum in a space; kind: room, plate, hall, spring, gated. Level: wet to dry, in dB."""
    response = spring(random) if kind == "spring" else reverberation(kind, random)
    return stereo + np.float32(amplitude(level)) * _wet(stereo, response)


def delay(stereo: Audio, kind: str, level: float, random: np.random.Generator) -> Audio:
    """``[2, n]`` and echoes; kind: slap, echo (one side or the middle), ping-pong. Level: the first one's, in dB."""
    slap = kind == "slap"
    quarter = 60 / random.uniform(70, 170)
    seconds = random.uniform(0.06, 0.16) if slap else quarter * random.choice([0.5, 0.75, 1.0, 1 / 3])
    feedback = random.uniform(0, 0.2) if slap else random.uniform(0.1, 0.6)
    step = int(seconds * SAMPLE_RATE)
    pulse = impulse_response(
        high_pass(random.uniform(50, 400), 1), low_pass(random.uniform(1500, 9000), 1), taps=1024
    )
    position = random.uniform(-0.7, 0.7) * (random.random() < 0.3)
    response, echo, gain = np.zeros((2, 6 * step + 1024), np.float32), pulse, 1.0
    for repeat in range(1, 6):
        side = random.uniform(0.6, 1) * (-1) ** repeat if kind == "ping-pong" else position
        response[:, repeat * step : repeat * step + 1024] += gain * pan(echo, side)
        echo, gain = convolve(echo, pulse), gain * feedback
    return stereo + np.float32(amplitude(level)) * convolve(stereo.mean(axis=0, keepdims=True), response)


def reverberation(kind: str, random: np.random.Generator) -> Audio:
    """The response ``[2, k]`` of a room, plate, hall or gated reverberation, of energy 1 a channel.

    Noise in five bands that die away each at its own rate, the highest first, after early reflections
    (Moorer, "About this reverberation business", 1979).
    """
    longest = {"room": (0.15, 0.7), "plate": (0.7, 2.5), "hall": (1.2, 3.5), "gated": (2, 4)}[kind]
    before = {"room": (0, 0.01), "plate": (0, 0.06), "hall": (0.01, 0.08), "gated": (0, 0.02)}[kind]
    seconds = random.uniform(*longest)
    length = int((random.uniform(0.15, 0.35) if kind == "gated" else min(seconds, 2.5)) * SAMPLE_RATE)
    time = np.arange(length, dtype=np.float32) / SAMPLE_RATE
    edges = [random.uniform(120, 250), 600, 2000, random.uniform(4000, 6000), random.uniform(8000, 14_000)]
    tail = np.zeros((2, length), np.float32)
    for low, high, share in zip([60, *edges[:-1]], edges, (1.0, 1.0, 0.85, 0.6, 0.35), strict=True):
        band = np.concatenate([high_pass(low, 1), low_pass(high, 1)])
        noise = random.standard_normal((2, length), np.float32)
        decay = np.exp(-6.9 * time / (seconds * share * random.uniform(0.8, 1.2)))
        tail += random.uniform(0.6, 1.4) * decay * sosfilt(band, noise).astype(np.float32)
    if kind != "plate":
        tail *= np.minimum(time / random.uniform(0.005, 0.04), 1)
    tail[:, -256:] *= np.linspace(1, 0, 256, dtype=np.float32)
    reach = min(length - 1, int(0.08 * SAMPLE_RATE))
    taps = random.integers(0, reach, (2, 12 if kind != "plate" else 3))
    strength = random.uniform(0.2, 1.5) * np.sqrt((tail**2).sum(axis=-1, keepdims=True) / taps.shape[1])
    early = random.choice([-1, 1], taps.shape) * np.exp(-3 * taps / reach) * strength
    np.add.at(tail, (np.arange(2)[:, None], taps), early.astype(np.float32))
    shape = high_pass(random.uniform(60, 400), 1), low_pass(random.uniform(3500, 14_000), 1)
    ahead = np.zeros((2, int(random.uniform(*before) * SAMPLE_RATE)), np.float32)
    return _unit(np.concatenate([ahead, equalise(widen(tail, random.uniform(0.3, 1)), *shape)], axis=-1))


def spring(random: np.random.Generator) -> Audio:
    """The response ``[2, k]`` of a spring: echoes whose high partials come later, up to a limit of 3 to 5 kHz.

    Parker and Bilbao, "Spring reverberation: a physical perspective", 2009.
    """
    size = 1 << 16
    frequency = fft.rfftfreq(size, 1 / SAMPLE_RATE)
    limit = random.uniform(3000, 5000)
    spectrum = np.zeros((2, len(frequency)), np.complex64)
    for channel in range(2):
        turns, decay = random.uniform(0.03, 0.06), random.uniform(0.45, 0.75)
        lateness = turns * (1 + random.uniform(0.5, 1.5) * (np.minimum(frequency, limit) / limit) ** 3)
        phase = 2 * np.pi * np.cumsum(lateness) * (SAMPLE_RATE / size)
        for echo in range(1, 10):
            spectrum[channel] += (-decay) ** echo * np.exp(-1j * phase * echo)
    spectrum *= 1 / (1 + (frequency / limit) ** 12)
    return _unit(equalise(fft.irfft(spectrum, size).astype(np.float32), high_pass(random.uniform(100, 250))))


def _wet(stereo: Audio, response: Audio) -> Audio:
    return convolve(stereo.mean(axis=0, keepdims=True), response)


def _unit(response: Audio) -> Audio:
    return response / np.float32(max(np.sqrt((response**2).sum() / len(response)), 1e-9))
