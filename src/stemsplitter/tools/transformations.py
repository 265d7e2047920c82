"""The transformations of a song: pitch, speed, slowed with reverb."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from stemsplitter.analysis import transposed
from stemsplitter.audio.tags import Tags
from stemsplitter.effects import Chain, Effect, PitchShift, Reverb, Speed, Stretch

MakeEffect = Callable[[int, int, bool], Effect]

SPEED_PRESETS = {"nightcore": 1.25, "nightcore-light": 1.15, "daycore": 0.82, "sped-up": 1.2}
"""Rates of the presets of speed; the pitch follows."""
DECAY_S, WET = 2.6, 0.25


@dataclass(frozen=True)
class Transformation:
    """A transformation of a song.

    Attributes:
        label: short text for file names and titles, such as ``+2.5 semitones``.
        make: returns the effect for a sample rate, a number of channels, and a stream of drums or of anything.
        drums_apart: True if the result is better when the drums and the rest are transformed apart.
        rate: of the tempo.
        semitones: change of the pitch.
    """

    label: str
    make: MakeEffect
    drums_apart: bool = False
    rate: float = 1.0
    semitones: float = 0.0

    def retagged(self, tags: Tags) -> Tags:
        """Return the tags of a song with its tempo and key after the transformation."""
        bpm = f"{float(tags.bpm) * self.rate:.6g}" if tags.bpm and self.rate != 1 else tags.bpm
        return replace(tags, bpm=bpm, key=transposed(tags.key, self.semitones))


def pitch(semitones: float, *, formants: bool = False) -> Transformation:
    """Change the pitch by -12 to 12 semitones and keep the tempo; with ``formants``, keep the timbre of voices.

    Raises:
        RequestError: ``semitones`` is out of range.
    """

    def make(sample_rate: int, channels: int, drums: bool) -> Effect:
        return PitchShift(sample_rate, channels, semitones, formants=formants and not drums, drums=drums)

    return _checked(Transformation(f"{semitones:+g} semitones", make, drums_apart=True, semitones=semitones))


def speed(rate: float, *, keep_pitch: bool = False) -> Transformation:
    """Play a song ``rate`` times as fast, 0.25 to 4; its pitch follows unless it is kept.

    Raises:
        RequestError: ``rate`` is out of range.
    """

    def make(sample_rate: int, channels: int, drums: bool) -> Effect:
        if keep_pitch:
            return Stretch(sample_rate, channels, rate, drums=drums)
        return Speed(sample_rate, channels, rate)

    return _checked(
        Transformation(
            f"{rate:g}x",
            make,
            drums_apart=keep_pitch,
            rate=rate,
            semitones=0.0 if keep_pitch else _shift(rate),
        )
    )


def slowed_reverb(rate: float, *, decay: float = DECAY_S, wet: float = WET) -> Transformation:
    """Play a song ``rate`` times as fast, with its pitch, in a room with that decay in seconds and wet share.

    Raises:
        RequestError: a parameter is out of range.
    """

    def make(sample_rate: int, channels: int, drums: bool) -> Effect:
        return Chain(Speed(sample_rate, channels, rate), Reverb(sample_rate, channels, decay, wet))

    return _checked(Transformation(f"slowed {rate:g}x + reverb", make, rate=rate, semitones=_shift(rate)))


def _shift(rate: float) -> float:
    """Return the semitones by which the pitch follows the speed."""
    return 12 * math.log2(rate) if rate > 0 else 0.0


def _checked(transformation: Transformation) -> Transformation:
    transformation.make(8000, 1, False)  # rejects parameters before a file is opened
    return transformation
