"""Guitar and bass amplifiers with their loudspeakers, tape and other distortion."""

from typing import Final

import numpy as np
import soxr

from training.effects.dynamics import active_level, amplitude, compress, gate
from training.effects.filters import (
    Sections,
    convolve,
    equalise,
    high_pass,
    high_shelf,
    impulse_response,
    log_uniform,
    low_pass,
    low_shelf,
    peak,
)
from training.score import SAMPLE_RATE, Audio

KINDS: Final = ("clean", "crunch", "high gain", "fuzz")
# Decibels into the waveshaper above an active level of −20 dBFS, and the corner of the high-pass before it.
_DRIVE: Final = {"clean": (-8, 5), "crunch": (8, 24), "high gain": (24, 44), "fuzz": (28, 48)}
_TIGHTNESS: Final = {"clean": (40, 90), "crunch": (60, 160), "high gain": (90, 260), "fuzz": (30, 90)}


def guitar_amplifier(guitar: Audio, kind: str, random: np.random.Generator) -> Audio:
    """Pedals, valves, tone stack and a loudspeaker with its microphone for ``[1, n]``; kind is one of `KINDS`."""
    hot = kind in ("high gain", "fuzz")
    dry = _at_level(guitar, -20)
    pickup = [
        high_pass(random.uniform(*_TIGHTNESS[kind]), int(random.integers(1, 3))),
        peak(random.uniform(2000, 5000), random.uniform(0, 6), 1.2),
        low_pass(random.uniform(5000, 9000)),
    ]
    if kind != "clean" and random.random() < 0.7:
        pickup.append(peak(random.uniform(500, 1300), random.uniform(2, 9), 0.7))
    sound = equalise(dry, *pickup)
    if kind != "clean" and random.random() < 0.5:
        sound = sound + amplitude(random.uniform(-105, -85)) * random.standard_normal(sound.shape, np.float32)
    sound = _driven(
        sound, random.uniform(*_DRIVE[kind]), random, stages=2 if hot or random.random() < 0.3 else 1
    )
    if hot and random.random() < 0.7:
        sound = gate(
            sound, random.uniform(-45, -28), random.uniform(0.03, 0.2), random.uniform(20, 50), key=dry
        )
    if kind == "clean" and random.random() < 0.4:
        sound = compress(
            sound, random.uniform(-8, 2), random.uniform(1.5, 4), 0.01, random.uniform(0.05, 0.3)
        )
    middle = random.uniform(-10, 2) if kind == "high gain" else random.uniform(-6, 5)
    tone = [
        low_shelf(random.uniform(100, 250), random.uniform(-6, 5)),
        peak(random.uniform(350, 1000), middle, random.uniform(0.4, 1)),
        high_shelf(random.uniform(1500, 3500), random.uniform(-4, 6)),
    ]
    return convolve(sound, cabinet(random, *tone))


def bass_amplifier(bass: Audio, grit: float, random: np.random.Generator) -> Audio:
    """Direct input and amplifier side by side for ``[1, n]``; grit 0…1 is how much and how hard it is driven."""
    direct = _at_level(bass, -20)
    driven = equalise(
        direct, high_pass(random.uniform(30, 400)), peak(random.uniform(500, 1500), random.uniform(0, 8))
    )
    driven = _driven(driven, random.uniform(0, 12) + 30 * grit, random, stages=1)
    speaker = [
        high_pass(random.uniform(35, 70)),
        *(peak(log_uniform(random, 90, 3000), random.normal(0, 3), 1.5) for _ in range(4)),
        low_pass(random.uniform(2500, 6000), int(random.integers(2, 5))),
    ]
    driven = _at_level(equalise(driven, *speaker), -20)
    blend = random.uniform(0.1, 0.5) + 0.5 * grit
    return (1 - blend) * direct + blend * driven


def cabinet(random: np.random.Generator, *tone: Sections) -> Audio:
    """The response ``[1, 4096]`` of a loudspeaker in its box before one or two microphones, after a tone stack.

    Resonances below, a presence peak, a steep fall above 4 to 6.5 kHz, and the comb of a reflection or of two
    microphones' distances.
    """
    resonances = [
        peak(log_uniform(random, 100, 5000), random.normal(0, 3.5), random.uniform(1, 6)) for _ in range(8)
    ]
    response = impulse_response(
        high_pass(random.uniform(70, 120), int(random.integers(2, 5))),
        peak(random.uniform(95, 160), random.uniform(0, 5), 1.5),
        peak(random.uniform(2000, 4000), random.uniform(2, 9), random.uniform(0.8, 2)),
        low_pass(random.uniform(4000, 6500), int(random.integers(4, 9))),
        *resonances,
        *tone,
    )
    reflection = np.roll(response, int(random.uniform(0.0001, 0.002) * SAMPLE_RATE), axis=-1)
    return response + random.uniform(-0.5, 0.5) * reflection


def saturate(audio: Audio, drive: float, random: np.random.Generator) -> Audio:
    """``[C, n]`` softly into a tape's or a transformer's ceiling, at the level that it had."""
    level = active_level(audio)
    hot = audio * amplitude(drive - level - 14)
    bias = random.uniform(0, 0.3)
    return np.tanh(hot + bias) * amplitude(level + 14 - drive) - np.tanh(bias) * amplitude(level + 14 - drive)


def crush(audio: Audio, random: np.random.Generator) -> Audio:
    """``[C, n]`` as an early sampler plays it: few bits, a low rate, or both."""
    held = int(random.integers(1, 6))
    steps = 2.0 ** random.integers(5, 11) / max(float(np.abs(audio).max()), 1e-6)
    coarse = np.round(audio[:, ::held] * steps) / steps
    return coarse.repeat(held, axis=-1)[:, : audio.shape[-1]].astype(np.float32)


def _driven(audio: Audio, drive: float, random: np.random.Generator, stages: int) -> Audio:
    """Waveshapers at twice the sample rate, with coupling capacitors between them."""
    sound = soxr.resample(audio[0], SAMPLE_RATE, 2 * SAMPLE_RATE, quality="MQ")[None]
    for stage in range(stages):
        if stage:
            corners = (
                high_pass(random.uniform(60, 300), 1, 2 * SAMPLE_RATE),
                low_pass(9000, 1, 2 * SAMPLE_RATE),
            )
            sound = equalise(sound, *corners)
        sound = _shaped(sound * np.float32(amplitude(10 + drive / stages)), random)
    out = soxr.resample(sound[0], 2 * SAMPLE_RATE, SAMPLE_RATE, quality="MQ")[: audio.shape[-1]]
    return np.pad(out, (0, audio.shape[-1] - len(out)))[None]


def _shaped(sound: Audio, random: np.random.Generator) -> Audio:
    bias = random.uniform(0.1, 0.6)
    match random.integers(4):
        case 0:
            return np.tanh(sound)
        case 1:
            return np.tanh(sound + bias) - np.float32(np.tanh(bias))
        case 2:
            return np.clip(sound, -1, 1 - bias)
        case _:
            return sound / (1 + np.abs(sound))


def _at_level(audio: Audio, level: float) -> Audio:
    return audio * np.float32(amplitude(level - active_level(audio)))
