"""Channel strips of voices."""

import numpy as np

from training.effects.amplifiers import saturate
from training.effects.dynamics import amplitude, compress
from training.effects.filters import coloration, equalise, high_pass, high_shelf, low_pass, low_shelf, peak
from training.effects.modulation import chorus, warp
from training.effects.space import delay, pan, reverberate
from training.score import Audio


def vocals(audio: Audio, role: str, style: str, random: np.random.Generator) -> Audio:
    """``[1 or 2, n]`` → ``[2, n]``: the lead in the middle, thickened or not, harmonies to the sides."""
    mono = equalise(
        audio.mean(axis=0, keepdims=True),
        coloration(random, 2.5),
        high_pass(random.uniform(70, 180)),
        low_shelf(random.uniform(150, 300), random.uniform(-5, 3)),
        peak(random.uniform(2500, 5000), random.uniform(-1, 5), 0.8),
        high_shelf(random.uniform(7000, 11_000), random.uniform(-1, 8)),
    )
    if random.random() < 0.9:
        mono = compress(mono, random.uniform(-8, 3), random.uniform(2, 5), 0.005, random.uniform(0.06, 0.3))
    if random.random() < 0.4:
        mono = compress(mono, random.uniform(-2, 6), random.uniform(4, 12), 0.001, random.uniform(0.03, 0.12))
    hard = 0.3 if style in ("metal", "rock") else 0.1
    if random.random() < 0.3 + hard:
        mono = saturate(
            mono, random.uniform(0, 16) if random.random() < hard else random.uniform(0, 7), random
        )
    if random.random() < 0.03:
        mono = equalise(mono, high_pass(random.uniform(300, 600), 4), low_pass(random.uniform(2500, 4000), 4))
    return _space(_spread(mono, role, random), style, random)


def _spread(mono: Audio, role: str, random: np.random.Generator) -> Audio:
    if role == "harmony":
        if random.random() < 0.6:
            width = random.uniform(0.3, 1)
            return pan(mono, -width) + pan(warp(mono, random.uniform(0.004, 0.015), random), width)
        return pan(mono, random.uniform(-0.8, 0.8))
    lead = pan(mono, random.normal(0, 0.03))
    match random.choice(["single", "doubled", "sides", "chorus"], p=[0.6, 0.17, 0.15, 0.08]):
        case "doubled":
            lead = lead + np.float32(random.uniform(0.3, 0.9)) * pan(warp(mono, 0.01, random), 0)
        case "sides":
            gain, width = np.float32(amplitude(random.uniform(-18, -7))), random.uniform(0.5, 1)
            lead = lead + gain * (
                pan(warp(mono, 0.012, random), -width) + pan(warp(mono, 0.012, random), width)
            )
        case "chorus":
            lead = lead + np.float32(random.uniform(0.1, 0.5)) * chorus(mono, random)
    return lead


def _space(voice: Audio, style: str, random: np.random.Generator) -> Audio:
    wetness = {"ballad": 4, "metal": 1, "funk": -3, "jazz": -1, "country": -1}.get(style, 0)
    if random.random() < 0.45:
        slap = 0.6 if style in ("country", "rock") else 0.25
        kind = "slap" if random.random() < slap else random.choice(["echo", "ping-pong"])
        voice = delay(voice, kind, random.uniform(-26, -9), random)
    if random.random() < 0.92:
        kind = random.choice(["plate", "hall", "room", "spring"], p=[0.45, 0.25, 0.25, 0.05])
        voice = reverberate(voice, kind, random.uniform(-26, -10) + wetness, random)
    return voice
