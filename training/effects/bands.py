"""Channel strips of guitars, basses, keyboards and everything else that carries a tune."""

import numpy as np

from training.effects.amplifiers import KINDS, bass_amplifier, crush, guitar_amplifier, saturate
from training.effects.dynamics import active_level, amplitude, compress
from training.effects.filters import (
    coloration,
    equalise,
    high_pass,
    high_shelf,
    log_uniform,
    low_pass,
    low_shelf,
    peak,
)
from training.effects.modulation import (
    auto_pan,
    chorus,
    filter_sweep,
    flanger,
    phaser,
    pump,
    tremolo,
    wah,
    warp,
)
from training.effects.space import delay, haas, pan, reverberate, widen
from training.score import Audio

_PLUGGED = (0.04, 0.8)  # how often an amplifier is used: by guitars that it does not suit, by the others
# How often clean, crunch, high gain, fuzz.
_AMPLIFIERS = {
    "rock": (0.2, 0.42, 0.24, 0.14),
    "metal": (0.1, 0.1, 0.7, 0.1),
    "pop": (0.5, 0.34, 0.1, 0.06),
    "funk": (0.8, 0.16, 0.02, 0.02),
    "electronic": (0.5, 0.2, 0.15, 0.15),
    "ballad": (0.6, 0.28, 0.09, 0.03),
    "jazz": (0.94, 0.06, 0.0, 0.0),
    "reggae": (0.85, 0.13, 0.0, 0.02),
    "country": (0.6, 0.37, 0.02, 0.01),
}
_GRIT = {"metal": 0.6, "rock": 0.4, "electronic": 0.3, "pop": 0.2, "funk": 0.2}
_DOUBLED = {"metal": 0.75, "rock": 0.5, "pop": 0.35, "country": 0.2, "electronic": 0.3, "ballad": 0.2}


def guitar(audio: Audio, role: str, style: str, random: np.random.Generator, amplifier: bool = True) -> Audio:
    """``[1 or 2, n]`` → ``[2, n]``: an amplifier (or none, as for acoustic guitars), one take or two, effects."""
    dry = audio.mean(axis=0, keepdims=True)
    amplified = random.random() < (_PLUGGED[1] if amplifier else _PLUGGED[0])
    if random.random() < (0.4 if style in ("funk", "country") else 0.12):
        dry = compress(dry, random.uniform(-10, 0), random.uniform(3, 8), 0.005, random.uniform(0.05, 0.3))
    if amplified and random.random() < (0.25 if style == "funk" else 0.06 if role == "lead" else 0.02):
        dry = wah(dry, random)
    kind = _amplifier(role, style, random)
    rhythm = role in ("riff", "strum")
    if random.random() < (_DOUBLED.get(style, 0.08) if rhythm else 0.08):
        sides = random.uniform(0.6, 1)
        second = warp(dry, random.uniform(0.003, 0.012), random)
        takes = [_take(take, kind if amplified else None, random) for take in (dry, second)]
        balance = np.float32(amplitude(random.normal(0, 1.5)))
        spread = pan(takes[0], -sides) + balance * pan(takes[1], sides)
    elif not amplified and len(audio) == 2 and random.random() < 0.5:
        spread = widen(_take(audio, None, random), random.uniform(0.5, 1.6))
    else:
        place = random.normal(0, 0.25) if role == "lead" else random.uniform(-1, 1)
        spread = pan(_take(dry, kind if amplified else None, random), float(np.clip(place, -1, 1)))
        if random.random() < 0.1:
            spread = haas(spread, random)
    spread = equalise(spread, coloration(random, 3), high_pass(random.uniform(60, 160)))
    if random.random() < 0.3:
        spread = compress(
            spread, random.uniform(-6, 2), random.uniform(1.5, 4), 0.01, random.uniform(0.05, 0.2)
        )
    return _guitar_space(_moved(spread, 0.22 if kind in KINDS[:2] else 0.08, random), role, style, random)


def bass(audio: Audio, role: str, style: str, random: np.random.Generator) -> Audio:
    """``[1 or 2, n]`` → ``[2, n]``, in the middle."""
    del role
    mono = audio.mean(axis=0, keepdims=True)
    if random.random() < (0.3 if style == "electronic" else 0.65):
        grit = random.uniform(0, 1) if random.random() < _GRIT.get(style, 0.1) else random.uniform(0, 0.3)
        mono = bass_amplifier(mono, grit, random)
    mono = equalise(
        mono,
        coloration(random, 4),
        high_pass(random.uniform(28, 50)),
        low_shelf(random.uniform(60, 120), random.uniform(-4, 5)),
        peak(random.uniform(200, 500), random.uniform(-6, 2), 0.8),
        peak(random.uniform(700, 2500), random.uniform(-3, 9), 0.7),
        low_pass(log_uniform(random, 2500, 16_000)),
    )
    if random.random() < 0.85:
        mono = compress(
            mono,
            random.uniform(-10, 2),
            random.uniform(2, 8),
            random.uniform(0.003, 0.04),
            random.uniform(0.05, 0.4),
        )
    if random.random() < 0.3:
        mono = saturate(mono, random.uniform(0, 10), random)
    if random.random() < (0.12 if style in ("funk", "electronic") else 0.01):
        mono = wah(mono, random) + np.float32(random.uniform(0, 0.6)) * equalise(mono, low_pass(150))
    stereo = pan(mono, random.normal(0, 0.03))
    if random.random() < 0.08:
        wide = chorus(equalise(mono, high_pass(200)), random)
        stereo = stereo + np.float32(random.uniform(0.2, 0.7)) * wide
    if random.random() < 0.2:
        stereo = reverberate(stereo, "room", random.uniform(-30, -18), random)
    if style == "electronic" and random.random() < 0.3:
        stereo = pump(stereo, random)
    return stereo


def keys(audio: Audio, role: str, style: str, random: np.random.Generator) -> Audio:
    """``[1 or 2, n]`` → ``[2, n]``: pianos and electric pianos."""
    del role
    stereo = _stage(audio, random, narrow=0.25)
    stereo = equalise(
        stereo,
        coloration(random, 3),
        high_pass(random.uniform(25, 160)),
        peak(random.uniform(200, 500), random.uniform(-6, 2), 0.8),
        high_shelf(random.uniform(3000, 8000), random.uniform(-4, 6)),
    )
    if random.random() < 0.5:
        release = random.uniform(0.05, 0.3)
        stereo = compress(
            stereo, random.uniform(-8, 2), random.uniform(1.5, 6), random.uniform(0.003, 0.03), release
        )
    if random.random() < (0.3 if style in ("rock", "funk") else 0.15):
        stereo = saturate(stereo, random.uniform(0, 12), random)
    if random.random() < 0.04:
        stereo = pan(
            guitar_amplifier(stereo.mean(axis=0, keepdims=True), "crunch", random), random.uniform(-0.8, 0.8)
        )
    stereo = _moved(stereo, 0.2, random)
    if random.random() < 0.1:
        stereo = delay(stereo, random.choice(["echo", "ping-pong", "slap"]), random.uniform(-24, -10), random)
    if random.random() < 0.8:
        kind = random.choice(["room", "plate", "hall"])
        level = random.uniform(-24, -10) + (4 if style == "ballad" else 0)
        stereo = reverberate(stereo, kind, level, random)
    return stereo


def other(audio: Audio, role: str, style: str, random: np.random.Generator) -> Audio:
    """``[1 or 2, n]`` → ``[2, n]``: strings, brass, reeds, organs, synthesisers."""
    electronic = style == "electronic"
    stereo = _stage(audio, random, narrow=0.3 if role in ("melody", "riff") else 0.1)
    if random.random() < (0.3 if electronic else 0.05):
        stereo = filter_sweep(stereo, random)
    if random.random() < (0.35 if electronic else 0.15):
        stereo = saturate(stereo, random.uniform(0, 16), random)
    stereo = equalise(
        stereo,
        coloration(random, 4),
        high_pass(random.uniform(30, 300)),
        low_pass(log_uniform(random, 4000, 20_000), 1),
    )
    if random.random() < 0.4:
        stereo = compress(
            stereo, random.uniform(-8, 2), random.uniform(1.5, 6), 0.01, random.uniform(0.05, 0.3)
        )
    if electronic and random.random() < 0.1:
        stereo = crush(stereo, random)
    stereo = _moved(stereo, 0.3, random)
    if random.random() < (0.35 if role in ("melody", "arpeggio", "riff", "stabs") else 0.1):
        stereo = delay(stereo, random.choice(["echo", "ping-pong"]), random.uniform(-22, -7), random)
    if random.random() < 0.85:
        kind = random.choice(["room", "plate", "hall"], p=[0.25, 0.35, 0.4])
        stereo = reverberate(stereo, kind, random.uniform(-22, -6) + (3 if role == "pad" else 0), random)
    if electronic and random.random() < 0.3:
        stereo = pump(stereo, random)
    return stereo


def _amplifier(role: str, style: str, random: np.random.Generator) -> str:
    chances = np.array(_AMPLIFIERS[style])
    if role in ("arpeggio", "skank"):
        chances = chances * (1, 0.4, 0.1, 0.1)
    elif role == "lead":
        chances = chances * (0.5, 1.2, 1.3, 1.3)
    return KINDS[random.choice(4, p=chances / chances.sum())]


def _take(dry: Audio, kind: str | None, random: np.random.Generator) -> Audio:
    if kind is not None:
        out = guitar_amplifier(dry, kind, random)
    else:
        out = equalise(
            dry,
            low_shelf(random.uniform(100, 300), random.uniform(-8, 2)),
            peak(random.uniform(1500, 5000), random.uniform(-3, 5)),
            high_shelf(random.uniform(5000, 9000), random.uniform(-4, 8)),
        )
    return out * np.float32(amplitude(-20 - active_level(out)))


def _moved(stereo: Audio, chance: float, random: np.random.Generator) -> Audio:
    """With that chance, one of the effects that move."""
    if random.random() >= chance:
        return stereo
    effect = (chorus, phaser, flanger, tremolo, auto_pan)[random.choice(5, p=[0.4, 0.2, 0.1, 0.15, 0.15])]
    return effect(stereo, random)


def _stage(audio: Audio, random: np.random.Generator, narrow: float) -> Audio:
    """Across the panorama as it was played or recorded, or with chance ``narrow`` at one point of it."""
    if len(audio) == 1 or random.random() < narrow:
        return pan(audio.mean(axis=0, keepdims=True), random.uniform(-0.9, 0.9))
    turned = widen(audio, random.uniform(0.3, 1.5))
    lean = random.normal(0, 0.2)
    return turned * np.array([[1 - lean], [1 + lean]], np.float32).clip(0.2, 1.8)


def _guitar_space(stereo: Audio, role: str, style: str, random: np.random.Generator) -> Audio:
    if random.random() < (0.5 if role == "lead" else 0.15):
        slap = 0.5 if style in ("country", "rock") else 0.15
        kind = "slap" if random.random() < slap else random.choice(["echo", "ping-pong"])
        stereo = delay(stereo, kind, random.uniform(-22, -7), random)
    if random.random() < 0.8:
        springs = 0.5 if style in ("reggae", "country") else 0.15
        kind = (
            "spring"
            if random.random() < springs
            else random.choice(["room", "plate", "hall"], p=[0.5, 0.3, 0.2])
        )
        dryness = 5 if style == "metal" and role != "lead" else 0
        stereo = reverberate(stereo, kind, random.uniform(-26, -10) - dryness, random)
    return stereo
