"""Timbres of synthesizers, as waveforms for `wavetable.oscillate`."""

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from training.instruments.wavetable import CYCLE, Floats, band_limited, cycles, harmonics, low_pass
from training.score import Audio

FRAMES: Final = 20
# Footages of a tonewheel organ's nine drawbars as multiples of the note: 16', 5 1/3', 8', 4', 2 2/3', 2', 1 3/5'…
DRAWBARS: Final = (0.5, 1.5, 1, 2, 3, 4, 5, 6, 8)


class Timbre(Protocol):
    """Waveforms of a note as it goes on."""

    @property
    def times(self) -> Floats:
        """Seconds after the note's start of each waveform."""
        ...

    def waves(self, hertz: float, velocity: float, random: np.random.Generator) -> Audio:
        """Waveforms ``[times.size, CYCLE]``."""
        ...


@dataclass(frozen=True)
class Analogue:
    """Sawtooth and pulse through a resonant low-pass with an envelope or an oscillator on it.

    Attributes:
        saw, pulse, sub: levels; the sub-oscillator is a square an octave below.
        duty: of the pulse, 0…0.5; 0.5 is a square.
        cutoff: hertz for a note at 200 Hz.
        track: how far the cutoff follows the note, 0…1.
        octaves: how far the envelope opens the filter.
        decay: of the envelope, seconds; below zero: the filter opens that slowly instead.
        resonance: quality of the filter, 0.7…10.
        poles: 2 or 4.
        wobble: octaves and hertz of the oscillator on the filter.
    """

    saw: float
    pulse: float
    sub: float
    duty: float
    cutoff: float
    track: float
    octaves: float
    decay: float
    resonance: float
    poles: int
    wobble: tuple[float, float] = (0.0, 1.0)

    @property
    def times(self) -> Floats:
        if self.wobble[0]:
            return np.linspace(0, 5, 3 * FRAMES)
        return np.linspace(0, 1, FRAMES) ** 2 * 6 * abs(self.decay)

    def waves(self, hertz: float, velocity: float, random: np.random.Generator) -> Audio:
        number = harmonics(hertz)
        whole = number == np.round(number)
        amplitude = self.saw * whole / number
        amplitude = amplitude + 1.4 * self.pulse * whole * np.abs(np.sin(np.pi * number * self.duty)) / number
        amplitude += self.sub * ((2 * number) % 2 == 1) / (2 * number)
        opened = np.exp(-self.times / abs(self.decay))
        if self.decay < 0:
            opened = 1 - opened
        octaves = self.octaves * (0.4 + 0.6 * velocity) * opened
        octaves += self.wobble[0] * np.sin(2 * np.pi * self.wobble[1] * self.times)
        cutoff = np.clip(self.cutoff * (hertz / 200) ** self.track * 2**octaves, 0.7 * hertz, 18_000)
        gains = low_pass(number * hertz, cutoff[:, np.newaxis], self.resonance, self.poles)
        return cycles(amplitude * gains)


@dataclass(frozen=True)
class FrequencyModulation:
    """Pairs of operators (Chowning, Journal of the Audio Engineering Society 21(7), 1973).

    Attributes:
        pairs: for each its level, the multiples of the note at which carrier and modulator run, the index of
            modulation as the note is struck, where it ends, and the seconds in which it gets there.
    """

    pairs: tuple[tuple[float, float, float, float, float, float], ...]

    @property
    def times(self) -> Floats:
        return np.linspace(0, 1, FRAMES) ** 2 * 4 * max(pair[-1] for pair in self.pairs)

    def waves(self, hertz: float, velocity: float, random: np.random.Generator) -> Audio:
        turn = np.arange(CYCLE) / CYCLE * 4 * np.pi
        waves = np.zeros((FRAMES, CYCLE))
        for level, carrier, modulator, struck, end, seconds in self.pairs:
            # High notes are struck softer, or they shriek.
            softer = velocity * min(1.0, (600 / hertz) ** 0.5)
            index = end + (struck * softer - end) * np.exp(-self.times[:, np.newaxis] / seconds)
            waves += level * np.sin(carrier * turn + index * np.sin(modulator * turn))
        return band_limited(waves, hertz)


@dataclass(frozen=True)
class Drawbars:
    """A tonewheel organ's registration: levels of the nine drawbars, 0…1, and of the percussion, that soon fades."""

    levels: tuple[float, ...]
    percussion: float

    @property
    def times(self) -> Floats:
        return np.array([0.0, 0.1, 0.25, 0.6])

    def waves(self, hertz: float, velocity: float, random: np.random.Generator) -> Audio:
        number = harmonics(hertz)
        amplitude = np.zeros((4, number.size))
        for multiple, level in zip(DRAWBARS, self.levels, strict=True):
            if multiple * 2 <= number.size:
                amplitude[:, round(multiple * 2) - 1] = level
        if number.size >= 6:
            amplitude[:, 5] += self.percussion * np.array([1, 0.5, 0.15, 0])
        amplitude[:, :2] += 1e-3  # nothing pulled out, or all of it too high, is not silence
        return cycles(amplitude, random.uniform(0, 2 * np.pi, number.size))
