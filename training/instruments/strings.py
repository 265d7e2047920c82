"""Electric guitar and bass as their pickups hear them: plucked strings, made for an amplifier to follow.

A digital waveguide (Karplus and Strong, Computer Music Journal 7(2), 1983; Jaffe and Smith, ibid.) seen from its
harmonics: where it is plucked and where the pickup sits are comb filters, and each harmonic decays at a rate of its
own. The decay is that of the loop's low-pass, which takes the same share of a harmonic in every round.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import sosfilt

from training.instruments.filters import band_pass
from training.instruments.wavetable import (
    Floats,
    cycles,
    fade_out,
    frequency,
    harmonics,
    low_pass,
    normalise,
    oscillate,
    turns,
)
from training.score import SAMPLE_RATE, Audio, Note

FRAMES = 24


@dataclass(frozen=True)
class PluckedString:
    """A guitar or bass.

    Attributes:
        pluck: where the string is plucked, 0…0.5 of its length.
        pickup: where the pickup is, likewise.
        brightness: exponent with which harmonics fall off as they are plucked: 0 is a hard pick, 1 a thumb.
        decay: seconds in which the fundamental of the A below middle C falls by 60 dB.
        damping: how much faster each harmonic decays than the one below.
        resonance: hertz and quality of pickup and cable.
        pick: level of the noise of pick or nail.
        mute: seconds in which a muted note falls by 60 dB.
        vibrato: semitones, on long notes.
        tuning: semitones off.
        single: one note at a time.
    """

    pluck: float
    pickup: float
    brightness: float
    decay: float
    damping: float
    resonance: tuple[float, float]
    pick: float
    mute: float
    vibrato: float
    tuning: float
    single: bool

    def play(self, notes: Sequence[Note], seconds: float, random: np.random.Generator) -> Audio:
        """Dry mono audio, peak 0.5."""
        audio = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
        waves: dict[tuple[int, float, bool], Audio] = {}
        for number, note in enumerate(notes):
            start = round(note.start * SAMPLE_RATE)
            after = notes[number + 1].start if self.single and number + 1 < len(notes) else np.inf
            length = max(min(note.duration, after - note.start), 0.02) + random.uniform(0.02, 0.06)
            count = min(round(length * SAMPLE_RATE), audio.size - start)
            if start < 0 or count <= 0:
                continue
            hardness = round(note.velocity * 4) / 4
            key = note.pitch, hardness, note.muted
            if key not in waves:
                waves[key] = self._waves(note.pitch, hardness, note.muted, random)
            sound = self._note(waves[key], note, count, random)
            audio[start : start + count] += sound * np.float32(0.15 + 0.85 * note.velocity)
        return normalise(audio[np.newaxis], 0.5)

    def _span(self, pitch: int, muted: bool) -> float:
        """Seconds in which the fundamental falls by 60 dB; thick strings ring longer."""
        return self.mute if muted else float(self.decay * 2 ** ((57 - pitch) / 24))

    def _waves(self, pitch: int, hardness: float, muted: bool, random: np.random.Generator) -> Audio:
        hertz = frequency(pitch)
        number = harmonics(hertz)
        whole = number == np.round(number)
        slope = self.brightness + 0.5 * (1 - hardness) + (0.4 if muted else 0)
        plucked = np.abs(np.sin(np.pi * number * self.pluck)) * np.abs(np.sin(np.pi * number * self.pickup))
        amplitude = whole * (plucked + 0.02) * number**-slope * random.uniform(0.7, 1.3, number.size)
        amplitude *= low_pass(number * hertz, np.array(self.resonance[0]), self.resonance[1], poles=2)
        faster = 1 + self.damping * (3 if muted else 1) * (number - 1)
        rate = 6.91 / self._span(pitch, muted) * faster
        times = self._times(pitch, muted)
        return cycles(
            amplitude * np.exp(-rate * times[:, np.newaxis]), random.uniform(0, 2 * np.pi, number.size)
        )

    def _times(self, pitch: int, muted: bool) -> Floats:
        return np.linspace(0, 1, FRAMES) ** 2.5 * self._span(pitch, muted)

    def _note(self, waves: Audio, note: Note, count: int, random: np.random.Generator) -> Audio:
        time = np.arange(count) / SAMPLE_RATE
        position = np.interp(time, self._times(note.pitch, note.muted), np.arange(FRAMES))
        # A string is sharp while it swings wide.
        semitones = self.tuning + random.normal(0, 0.03) + 0.25 * note.velocity**2 * np.exp(-time / 0.06)
        if self.vibrato and note.duration > 0.35 and not note.muted:
            depth = self.vibrato * np.clip((time - 0.2) / 0.3, 0, 1)
            semitones = semitones + depth * np.sin(2 * np.pi * random.uniform(4.5, 6) * time)
        sound = oscillate(waves, position, turns(frequency(note.pitch), semitones) + random.uniform(0, 2))
        sound[: min(44, count)] *= np.linspace(0, 1, min(44, count), dtype=np.float32)
        if self.pick:
            click = random.normal(0, 1, min(900, count)) * np.exp(-np.arange(min(900, count)) / 120)
            sound[: click.size] += (self.pick * sosfilt(band_pass(900, 6000), click)).astype(np.float32)
        return fade_out(sound, 0.02)


def guitar(role: str, style: str, random: np.random.Generator) -> PluckedString:
    """An electric guitar's direct input."""
    bright = style in ("funk", "reggae", "country") or random.random() < 0.4
    return PluckedString(
        pluck=random.uniform(0.06, 0.25),
        pickup=random.uniform(0.06, 0.14) if bright else random.uniform(0.12, 0.28),
        brightness=random.uniform(0, 0.6),
        decay=random.uniform(2.5, 8),
        damping=random.uniform(0.03, 0.3),
        resonance=(random.uniform(2500, 5500), random.uniform(0.8, 3)),
        pick=random.uniform(0, 0.25),
        mute=random.uniform(0.15, 0.5),
        vibrato=random.uniform(0.05, 0.5) if role == "lead" else 0.0,
        tuning=random.normal(0, 0.06),
        single=role == "lead",
    )


def bass(style: str, random: np.random.Generator) -> PluckedString:
    """An electric bass's direct input, played with fingers or with a pick."""
    picked = random.random() < (0.7 if style in ("rock", "metal") else 0.3)
    return PluckedString(
        pluck=random.uniform(0.06, 0.15) if picked else random.uniform(0.1, 0.3),
        pickup=random.uniform(0.08, 0.25),
        brightness=random.uniform(0.1, 0.6) if picked else random.uniform(0.6, 1.2),
        decay=random.uniform(2, 7),
        damping=random.uniform(0.03, 0.4),
        resonance=(random.uniform(900, 4500), random.uniform(0.6, 1.5)),
        pick=random.uniform(0.02, 0.15) if picked else random.uniform(0, 0.04),
        mute=random.uniform(0.2, 0.6),
        vibrato=0.0,
        tuning=random.normal(0, 0.05),
        single=True,
    )
