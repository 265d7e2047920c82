"""Sketches of songs: what the composer writes, played by the simplest synthesis, a second of work for each.

They sound like no band, but their notes begin when those of a song do, with all kinds of attacks, decays and levels:
enough to learn tempi from, and hundreds of times as cheap as `training.render`.
"""

from collections.abc import Collection
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.score import Note, Part, Song

RATE: Final = 22_050
LONGEST: Final = 1.2  # seconds of a note
_Wave = NDArray[np.float32]
# kind of drum by General MIDI's percussion key: low tone, tone and noise, short noise, long noise
KICKS, TOMS = (35, 36), (41, 43, 45, 47, 48, 50)
SNARES, SHORT = (37, 38, 39, 40), (42, 44, 54, 56)


def sketch(
    song: Song, random: np.random.Generator, *, cents: float = 0, overdriven: Collection[Part] = ()
) -> tuple[_Wave, _Wave]:
    """Return the song and its drums, mono at 22.05 kHz.

    ``cents`` is the deviation of its tuning; overdriven parts have the overtones and difference tones of a distorted
    guitar.
    """
    count = int(song.seconds * RATE) + int(LONGEST * RATE) + 1
    stems = {"drums": np.zeros(count, np.float32), "rest": np.zeros(count, np.float32)}
    for part in song.parts:
        level = 10 ** (random.uniform(-10, 4) / 20)
        wave = np.zeros(count, np.float32)
        _drums(part, wave, random) if part.stem == "drums" else _tones(part, wave, random, cents)
        spread = float(wave.std()) + 1e-6
        if part in overdriven:
            wave = np.tanh(wave * np.float32(4 / spread))
            spread = 1.0
        stems["drums" if part.stem == "drums" else "rest"] += np.float32(0.1 * level / spread) * wave
    noise = 10 ** (random.uniform(-75, -45) / 20) * random.standard_normal(count)
    mixture = stems["drums"] + stems["rest"] + noise.astype(np.float32)
    if random.random() < 0.5:  # as loud masters are
        mixture = np.tanh(mixture * np.float32(random.uniform(1, 4)))
    return mixture, stems["drums"]


def metronome(random: np.random.Generator) -> tuple[_Wave, _Wave, float]:
    """Return clicks with long chords behind them, the clicks, and their tempo: a beat without a band."""
    tempo = float(np.clip(115 * 2 ** random.normal(0, 0.4), 50, 210))
    seconds = random.uniform(8, 30)
    count = int((seconds + 2 * LONGEST) * RATE)
    clicks, chords = np.zeros(count, np.float32), np.zeros(count, np.float32)
    sound, accented = _drum(int(random.choice([37, 42, 51, 56])), random), int(random.integers(1, 5))
    soft, first = random.uniform(0.3, 1), random.uniform(0, 0.5)
    for beat in range(int(seconds * tempo / 60)):
        loud = 1.0 if beat % accented == 0 else soft
        _add(clicks, Note(first + beat * 60 / tempo, 0.1, 37, loud), sound)
    length = float(random.choice([1.0, 1.5, 2.0, 4.0])) if random.random() < 0.5 else 240 / tempo
    notes = [
        Note(length * n, length, 48 + int(random.integers(24)), 0.5) for n in range(int(seconds / length))
    ]
    _tones(Part("other", "stabs", tuple(notes)), chords, random)
    chords *= np.float32(random.uniform(0, 0.3))
    return clicks + chords, clicks, tempo


def _drums(part: Part, wave: _Wave, random: np.random.Generator) -> None:
    sounds: dict[int, _Wave] = {}
    for note in part.notes:
        if note.pitch not in sounds:
            sounds[note.pitch] = _drum(note.pitch, random)
        _add(wave, note, sounds[note.pitch])


def _drum(pitch: int, random: np.random.Generator) -> _Wave:
    at = np.arange(int(LONGEST * RATE)) / RATE
    noise = random.standard_normal(len(at))
    bright = _bright(noise)
    if pitch in KICKS:
        sweep = random.uniform(40, 60) * at + random.uniform(1, 4) * (1 - np.exp(-at / 0.02))
        click = random.uniform(0, 0.3) * bright * np.exp(-at / 0.004)
        return (np.sin(2 * np.pi * sweep) * np.exp(-at / random.uniform(0.06, 0.25)) + click).astype(
            np.float32
        )
    if pitch in TOMS:
        hertz = random.uniform(80, 200)
        return (np.sin(2 * np.pi * hertz * at) * np.exp(-at / random.uniform(0.1, 0.3))).astype(np.float32)
    if pitch in SNARES:
        tone = np.sin(2 * np.pi * random.uniform(160, 240) * at) * np.exp(-at / 0.06)
        hiss = noise * random.uniform(0.2, 0.8) * np.exp(-at / random.uniform(0.05, 0.18))
        return (random.uniform(0.1, 0.6) * tone + hiss).astype(np.float32)
    decay = random.uniform(0.02, 0.07) if pitch in SHORT else random.uniform(0.1, 0.6)
    return (random.uniform(0.1, 0.5) * bright * np.exp(-at / decay)).astype(np.float32)


def _bright(noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return noise without its low frequencies."""
    return np.convolve(noise, [-0.25, 0.5, -0.25], "same")


def _tones(part: Part, wave: _Wave, random: np.random.Generator, cents: float = 0) -> None:
    """Add notes of one timbre: harmonics with a slope, an attack, and a decay or none."""
    at = np.arange(int(LONGEST * RATE)) / RATE
    slope, partials = random.uniform(0.8, 2.2), int(random.integers(2, 9))
    slow = part.role in ("pad", "lead", "harmony")
    attack = random.uniform(0.03, 0.25) if slow else random.uniform(0.002, 0.03)
    decay = 1e9 if slow else random.uniform(0.15, 1.5)
    envelope = np.minimum(at / attack, 1) * np.exp(-at / decay)
    waves: dict[int, _Wave] = {}
    for note in part.notes:
        if note.pitch not in waves:
            hertz = 440 * 2 ** ((note.pitch - 69 + cents / 100) / 12)
            numbers = [n for n in range(1, partials + 1) if n * hertz < RATE / 2.2]
            sound = sum(np.sin(2 * np.pi * n * hertz * at + n) / n**slope for n in numbers)
            waves[note.pitch] = np.asarray(sound * envelope, np.float32)
        _add(wave, note, waves[note.pitch])


def _add(wave: _Wave, note: Note, sound: _Wave) -> None:
    """Add a note, with a release of 30 ms."""
    start, held = int(note.start * RATE), int(max(note.duration, 0.05) * RATE)
    release = int(0.03 * RATE)
    part = sound[: held + release] * np.float32(note.velocity * (0.5 if note.muted else 1.0))
    if len(part) > held:
        part = part.copy()
        part[held:] *= np.linspace(1, 0, len(part) - held, dtype=np.float32)
    end = min(start + len(part), len(wave))
    wave[start:end] += part[: end - start]
