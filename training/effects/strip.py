"""The channel strip of a part, as a producer would set it for that style, on another day for each song."""

from functools import partial

import numpy as np

from training.effects.bands import bass, guitar, keys, other
from training.effects.dynamics import active_level, amplitude
from training.effects.filters import equalise, high_pass
from training.effects.kits import drums
from training.effects.singers import vocals
from training.score import SAMPLE_RATE, Audio

_STRIPS = {"vocals": vocals, "drums": drums, "bass": bass, "piano": keys, "other": other}
# How much softer than the stem's leading part a part stands in it, in decibels.
_BEHIND = {"harmony": 6, "percussion": 8, "arpeggio": 2, "pad": 4, "skank": 1}
_FADE = round(0.03 * SAMPLE_RATE)


def process(
    audio: Audio, stem: str, role: str, style: str, random: np.random.Generator, amplifier: bool = True
) -> Audio:
    """A dry part ``[1 or 2, n]`` as it stands in a mix: ``[2, n]`` at about −20 dBFS where it sounds, peaks ≤ 0.9.

    Stems, roles and styles are those of `training.score`; `amplifier` tells whether a guitar may have one. Silence
    stays silence; effects' tails are cut at n with a short fade.
    """
    if not np.abs(audio).max(initial=0) > 1e-5:
        return np.zeros((2, audio.shape[-1]), np.float32)
    levelled = audio.astype(np.float32) * np.float32(amplitude(-20 - active_level(audio)))
    strip = partial(guitar, amplifier=amplifier) if stem == "guitar" else _STRIPS[stem]
    out = equalise(strip(levelled, role, style, random), high_pass(25))
    level = random.normal(-20 - _BEHIND.get(role, 0), 2)
    gain = min(amplitude(level - active_level(out)), 0.9 / max(float(np.abs(out).max()), 1e-6))
    fade = min(_FADE, out.shape[-1])
    out[:, out.shape[-1] - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    return (out * np.float32(gain)).astype(np.float32)
