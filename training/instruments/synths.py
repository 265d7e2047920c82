"""Synthesizers, organs and electric pianos, each turned to another sound by chance."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import sosfilt

from training.instruments import strings
from training.instruments.filters import high_pass
from training.instruments.machines import DrumMachine
from training.instruments.timbres import Analogue, Drawbars, FrequencyModulation, Timbre
from training.instruments.wavetable import Floats, fade_out, frequency, normalise, oscillate, turns
from training.score import SAMPLE_RATE, Audio, Instrument, Note


@dataclass(frozen=True)
class Synth:
    """A synthesizer with its knobs set.

    Attributes:
        timbre: what its notes are made of.
        attack, decay, sustain, release: of the loudness; seconds, and a level for sustain.
        voices: oscillators to a note.
        spread: semitones between the lowest and the highest of them.
        width: how far apart they stand, 0…1.
        single: one note at a time.
        glide: seconds in which a single note comes from the pitch of the one before.
        vibrato: semitones.
        drive: into a soft clipper; 0 leaves it out.
        rotary: hertz at which a rotating loudspeaker turns; 0: none.
        tuning: semitones off.
    """

    timbre: Timbre
    attack: float
    decay: float
    sustain: float
    release: float
    voices: int = 1
    spread: float = 0.0
    width: float = 0.0
    single: bool = False
    glide: float = 0.0
    vibrato: float = 0.0
    drive: float = 0.0
    rotary: float = 0.0
    tuning: float = 0.0

    def play(self, notes: Sequence[Note], seconds: float, random: np.random.Generator) -> Audio:
        """Dry audio, mono or stereo, peak 0.5."""
        stereo = self.voices > 1 and self.width > 0
        audio = np.zeros((2 if stereo else 1, round(seconds * SAMPLE_RATE)), np.float32)
        waves: dict[tuple[int, float], Audio] = {}
        for number, note in enumerate(notes):
            start = round(note.start * SAMPLE_RATE)
            held = min(note.duration, 0.12) if note.muted else note.duration
            if self.single and number + 1 < len(notes):
                held = min(held, max(notes[number + 1].start - note.start, 0.02))
            release = min(self.release, 0.03) if self.single else self.release
            count = min(round((held + 3 * release) * SAMPLE_RATE), audio.shape[1] - start)
            if start < 0 or count <= 0:
                continue
            key = note.pitch, round(note.velocity * 4) / 4
            if key not in waves:
                waves[key] = self.timbre.waves(frequency(note.pitch), key[1], random)
            before = notes[number - 1].pitch if number and self.single else note.pitch
            sound = self._oscillators(waves[key], note, before, count, len(audio), random)
            loudness = self._envelope(held, release, count) * (0.25 + 0.75 * note.velocity)
            audio[:, start : start + count] += fade_out(sound * loudness.astype(np.float32))
        if self.drive:
            audio = np.tanh(self.drive * normalise(audio))
        if self.rotary:
            audio = _rotate(audio[0], self.rotary, random)
        return normalise(audio, 0.5)

    def _envelope(self, held: float, release: float, count: int) -> Floats:
        time = np.arange(count) / SAMPLE_RATE
        level = np.minimum(time / self.attack, 1)
        if self.sustain < 1:
            fallen = np.exp(-np.maximum(time - self.attack, 0) / self.decay)
            level = level * (self.sustain + (1 - self.sustain) * fallen)
        last = min(round(held * SAMPLE_RATE), count)
        level[last:] *= np.exp(-(time[last:] - held) / release)
        return level

    def _oscillators(
        self, waves: Audio, note: Note, before: int, count: int, channels: int, random: np.random.Generator
    ) -> Audio:
        time = np.arange(count) / SAMPLE_RATE
        times = self.timbre.times
        position = np.interp(time, times, np.arange(times.size))
        bend = np.zeros(count)
        if self.glide and before != note.pitch:
            bend += (before - note.pitch) * np.exp(-time / self.glide)
        if self.vibrato:
            bend += (
                self.vibrato
                * np.minimum(time / 0.5, 1)
                * np.sin(2 * np.pi * 5.5 * time + random.uniform(0, 6))
            )
        sound = np.zeros((channels, count), np.float32)
        for voice in range(self.voices):
            place = (voice / (self.voices - 1) - 0.5) if self.voices > 1 else 0.0
            hertz = frequency(note.pitch + self.tuning + self.spread * place)
            one = oscillate(waves, position, turns(hertz, bend) + random.uniform(0, 2))
            if channels == 1:
                sound[0] += one
            else:
                side = self.width * (-1 if voice % 2 else 1) * (0.4 + abs(place))
                sound[0] += one * np.float32(np.sqrt(np.clip(0.5 - 0.5 * side, 0, 1)))
                sound[1] += one * np.float32(np.sqrt(np.clip(0.5 + 0.5 * side, 0, 1)))
        return sound / np.float32(np.sqrt(self.voices))


def _rotate(audio: Audio, hertz: float, random: np.random.Generator) -> Audio:
    """A rotating horn above 800 Hz and a slower drum below, heard by two microphones: Doppler and tremolo."""
    high = sosfilt(high_pass(800), audio).astype(np.float32)
    rotated = np.zeros((2, audio.size), np.float32)
    index = np.arange(audio.size)
    for part, speed, milliseconds, depth in ((high, 1.0, 0.35, 0.5), (audio - high, 0.85, 0.1, 0.25)):
        turn = 2 * np.pi * hertz * speed * index / SAMPLE_RATE + random.uniform(0, 6)
        for channel, angle in enumerate((0.0, 1.8)):
            swing = np.sin(turn + angle)
            delayed = index - (1 + swing) * milliseconds / 1000 * SAMPLE_RATE
            whole = np.maximum(delayed, 0).astype(np.int64)
            between = (delayed - whole).astype(np.float32)
            after = np.minimum(whole + 1, audio.size - 1)
            heard = part[whole] * (1 - between) + part[after] * between
            rotated[channel] += heard * (1 - depth * (0.5 + 0.5 * np.cos(turn + angle))).astype(np.float32)
    return rotated


def choose(stem: str, role: str, style: str, random: np.random.Generator) -> Instrument | None:
    """A synthetic instrument for a part, or None where none would pass for the real thing."""
    if stem == "drums":
        return DrumMachine(random)
    if stem == "bass":
        electric = {"electronic": 0.1, "pop": 0.4}.get(style, 0.8)
        return strings.bass(style, random) if random.random() < electric else _bass(random)
    if stem == "guitar":
        return strings.guitar(role, style, random)
    if stem == "piano":
        return _electric_piano(random)
    if stem == "other":
        return _other(role, style, random)
    return None


def _analogue(random: np.random.Generator, low: float, high: float, octaves: float) -> Analogue:
    """Oscillators at random behind a filter that rests between two frequencies and opens by some octaves."""
    wave = random.integers(4)
    return Analogue(
        saw=(1.0, 0.0, 0.7, 1.0)[wave],
        pulse=(0.0, 1.0, 0.7, 0.0)[wave],
        sub=float(random.random() < 0.3) * random.uniform(0, 1),
        duty=random.uniform(0.08, 0.5),
        cutoff=float(np.exp(random.uniform(np.log(low), np.log(high)))),
        track=random.uniform(0.2, 1),
        octaves=random.uniform(0, octaves),
        decay=float(np.exp(random.uniform(np.log(0.04), np.log(1.5)))),
        resonance=random.uniform(0.7, 4),
        poles=int(random.choice([2, 4])),
    )


def _bass(random: np.random.Generator) -> Synth:
    draw = random.uniform
    kind = random.choice(["analogue", "sub", "fm", "acid", "wobble"], p=[0.4, 0.15, 0.2, 0.15, 0.1])
    timbre: Timbre = _analogue(random, 80, 900, 4)
    glide, drive = (draw(0.01, 0.06) if random.random() < 0.25 else 0.0), draw(0, 3) * (random.random() < 0.4)
    if kind == "sub":
        timbre = Analogue(draw(0, 0.3), 0.2, 0, 0.5, draw(100, 250), 1, draw(0, 1.5), draw(0.02, 0.1), 0.7, 4)
    elif kind == "fm":
        pair = (1.0, 1.0, float(random.choice([0.5, 1, 2, 3])), draw(1, 6), draw(0.2, 1.5), draw(0.05, 0.6))
        timbre = FrequencyModulation((pair,))
    elif kind == "acid":
        saw = float(random.random() < 0.7)
        timbre = Analogue(
            saw, 1 - saw, 0, 0.5, draw(150, 500), 0.5, draw(2, 4.5), draw(0.08, 0.4), draw(4, 10), 4
        )
        glide, drive = draw(0.02, 0.06), draw(1, 6)
    elif kind == "wobble":
        lfo = draw(0.5, 1.8), float(random.choice([1.0, 2.0, 4.0])) * draw(0.9, 1.1)
        timbre = Analogue(1, 0.5, 0.5, 0.4, draw(150, 500), 0.3, 1, 0.5, draw(1, 4), 4, lfo)
    voices = int(random.integers(2, 4)) if random.random() < 0.25 else 1
    return Synth(
        timbre, draw(0.001, 0.01), draw(0.1, 1), draw(0.4, 1), draw(0.01, 0.08), voices, draw(0.02, 0.2),
        single=True, glide=glide, drive=drive, tuning=random.normal(0, 0.04),
    )  # fmt: skip


def _electric_piano(random: np.random.Generator) -> Synth:
    """Tines: a carrier whose modulator at a high multiple gives the strike, beside one that gives the body."""
    draw = random.uniform
    strike = draw(0.1, 0.5), 1.0, float(random.choice([7, 10, 14])), draw(0.5, 2), 0.0, draw(0.03, 0.2)
    body = 1.0, 1.0, 1.0, draw(0.5, 3.0), draw(0.05, 0.5), draw(0.3, 1.5)
    voices = 2 if random.random() < 0.5 else 1
    return Synth(
        FrequencyModulation((strike, body)), 0.002, draw(0.8, 3), draw(0.0, 0.15), draw(0.05, 0.2), voices,
        draw(0.03, 0.12), draw(0, 0.8), drive=draw(0, 1.5) * (random.random() < 0.4), tuning=random.normal(0, 0.04),
    )  # fmt: skip


def _organ(random: np.random.Generator) -> Synth:
    draw = random.uniform
    full = random.uniform(0, 1, 9) * (random.random(9) < 0.6)
    levels = (draw(0.5, 1), draw(0.2, 1), 1.0, *full[3:])
    speed = float(random.choice([draw(0.6, 1.0), draw(5.5, 7.0)]))
    return Synth(
        Drawbars(levels, draw(0, 1) * (random.random() < 0.5)), draw(0.002, 0.01), 1.0, 1.0, draw(0.01, 0.05),
        drive=draw(0.5, 5) * (random.random() < 0.5), rotary=speed * (random.random() < 0.8),
        tuning=random.normal(0, 0.03),
    )  # fmt: skip


def _pad(random: np.random.Generator) -> Synth:
    draw = random.uniform
    slow = Analogue(
        1, draw(0, 1), draw(0, 0.4), draw(0.1, 0.5), draw(300, 2500), draw(0.2, 0.8), draw(0, 3),
        -draw(0.5, 3), draw(0.7, 2), 4, (draw(0, 1) * float(random.random() < 0.3), draw(0.1, 0.5)),
    )  # fmt: skip
    return Synth(
        slow, draw(0.03, 0.8), 1, 1, draw(0.1, 0.6), int(random.integers(2, 4)), draw(0.08, 0.35), draw(0.3, 1),
        tuning=random.normal(0, 0.04),
    )  # fmt: skip


def _lead(random: np.random.Generator) -> Synth:
    draw = random.uniform
    voices = int(random.choice([1, 2, 5]))
    return Synth(
        _analogue(random, 600, 6000, 3), draw(0.002, 0.04), draw(0.2, 1), draw(0.5, 1), draw(0.03, 0.2), voices,
        draw(0.05, 0.4), draw(0, 1), single=True, glide=draw(0, 0.08) * (random.random() < 0.4),
        vibrato=draw(0, 0.3), drive=draw(0, 3) * (random.random() < 0.3), tuning=random.normal(0, 0.04),
    )  # fmt: skip


def _pluck(random: np.random.Generator) -> Synth:
    """Short notes: stabs of a supersaw, plucks, bells."""
    draw = random.uniform
    timbre: Timbre = _analogue(random, 300, 3000, 4)
    if random.random() < 0.3:
        ratio = float(random.choice([1.5, 2, 3, 3.5, 5, 7]))
        timbre = FrequencyModulation(((1.0, 1.0, ratio, draw(0.5, 4), draw(0, 0.4), draw(0.05, 0.6)),))
    voices = int(random.choice([1, 2, 3, 5]))
    return Synth(
        timbre, draw(0.001, 0.01), draw(0.08, 0.7), draw(0, 0.6), draw(0.03, 0.3), voices, draw(0.05, 0.4),
        draw(0, 1), tuning=random.normal(0, 0.04),
    )  # fmt: skip


def _other(role: str, style: str, random: np.random.Generator) -> Synth:
    organ = {"reggae": 0.8, "rock": 0.6, "jazz": 0.7, "funk": 0.5, "electronic": 0.1}.get(style, 0.35)
    if role in ("pad", "stabs", "riff") and random.random() < organ:
        return _organ(random)
    if role == "pad":
        return _pad(random)
    return _lead(random) if role in ("melody", "riff") else _pluck(random)
