"""Channel strips of drums and percussion."""

import numpy as np

from training.effects.amplifiers import crush, saturate
from training.effects.dynamics import active_level, amplitude, compress, gate, limit, shape_transients
from training.effects.filters import coloration, equalise, high_pass, high_shelf, low_pass, low_shelf, peak
from training.effects.space import delay, pan, reverberate, widen
from training.score import Audio


def drums(audio: Audio, role: str, style: str, random: np.random.Generator) -> Audio:
    """``[1 or 2, n]`` → ``[2, n]``: a kit across the panorama, percussion somewhere in it."""
    if role == "percussion":
        return _percussion(audio, random)
    dirt = {"metal": 0.5, "rock": 0.5, "electronic": 0.6, "jazz": 0.1, "country": 0.25}.get(style, 0.35)
    kit = widen(audio, random.uniform(0.3, 1.4)) if len(audio) == 2 else pan(audio, 0)
    if random.random() < 0.08:
        kit = widen(kit, 0)
    if random.random() < 0.6:
        kit = shape_transients(kit, random.uniform(-3, 6), random.uniform(-8, 5))
    kit = equalise(
        kit,
        coloration(random, 4),
        low_shelf(random.uniform(60, 110), random.uniform(-2, 7)),
        peak(random.uniform(250, 600), random.uniform(-8, 2), 0.8),
        high_shelf(random.uniform(5000, 9000), random.uniform(-6, 3.5)),
    )
    kit = _room(kit, style, random)
    if random.random() < dirt:
        kit = saturate(kit, random.uniform(2, 14), random)
    if random.random() < 0.7:
        kit = compress(
            kit,
            random.uniform(-10, 3),
            random.uniform(1.5, 6),
            random.uniform(0.002, 0.03),
            random.uniform(0.04, 0.3),
        )
    if random.random() < 0.3:
        crushed = compress(kit, -20, 12, 0.001, random.uniform(0.03, 0.15))
        kit = (
            kit
            + np.float32(amplitude(active_level(kit) - active_level(crushed) - random.uniform(0, 12)))
            * crushed
        )
    if random.random() < (0.2 if style == "electronic" else 0.02):
        kit = crush(kit, random)
    if random.random() < 0.03:
        kit = equalise(kit, high_pass(random.uniform(100, 300)), low_pass(random.uniform(2500, 6000)))
    peaks = amplitude(active_level(kit) + random.uniform(10, 18))
    return limit(kit, peaks, 0.05) if random.random() < 0.7 else kit


def _room(kit: Audio, style: str, random: np.random.Generator) -> Audio:
    wetness = {"metal": 2, "rock": 2, "ballad": 4, "jazz": 2, "funk": -4, "electronic": -3}.get(style, 0)
    if random.random() < 0.15:
        kit = gate(kit, random.uniform(-25, -12), random.uniform(0.03, 0.15), random.uniform(6, 30))
    if random.random() < 0.8:
        kind = random.choice(["room", "plate", "hall", "gated"], p=[0.6, 0.22, 0.1, 0.08])
        kit = reverberate(kit, kind, random.uniform(-24, -10) + wetness, random)
    if random.random() < (0.25 if style in ("reggae", "electronic") else 0.03):
        kit = delay(kit, random.choice(["echo", "ping-pong"]), random.uniform(-20, -8), random)
    return kit


def _percussion(audio: Audio, random: np.random.Generator) -> Audio:
    spread = pan(audio.mean(axis=0, keepdims=True), random.uniform(-0.9, 0.9))
    if len(audio) == 2 and random.random() < 0.6:
        spread = widen(audio, random.uniform(0.5, 1.5))
    spread = equalise(spread, coloration(random, 5), high_pass(random.uniform(60, 300)))
    if random.random() < 0.4:
        spread = shape_transients(spread, random.uniform(-4, 5), random.uniform(-8, 4))
    if random.random() < 0.7:
        kind = random.choice(["room", "plate", "hall"])
        spread = reverberate(spread, kind, random.uniform(-22, -6), random)
    if random.random() < 0.4:
        spread = compress(spread, random.uniform(-8, 2), random.uniform(2, 6), 0.005, 0.1)
    return spread
