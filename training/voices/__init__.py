"""Singing voices for `training.score` parts: speech of people and of free synthesisers, sung."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import platformdirs

from training.instruments import performances, recordings
from training.instruments.catalogue import Split
from training.score import SAMPLE_RATE, Audio, Instrument, Note
from training.voices import spoken
from training.voices.bank import HOP, LINES, SPEAKERS, Speaker, analyse, kept, load_bank
from training.voices.performance import breathe, perform, phrases, syllables, to_frame
from training.voices.singer import Singer, draw_singer
from training.voices.vocoder import Frames, synthesise

ENOUGH: Final = 14  # syllables that a speaker must have said
# How often a part goes to recorded vowels, to recorded singing, to somebody who shouts.
RECORDED: Final = {"lead": 0.02, "harmony": 0.35}
PERFORMED: Final = {"lead": 0.03, "harmony": 0.02}
SHOUTED: Final = {"metal": 0.12, "rock": 0.02}
_PEAK: Final = 0.5
_MOST_LINES: Final = 4
_MOST_SOUNDING: Final = 4  # singers at once: each costs 0.4 s of computing for 45 s


@dataclass(frozen=True)
class Vocal:
    """A singer, or a few, for one part.

    Attributes:
        takes: who sings each line of notes, together; the first is the nearest.
        bank: what the singers' speakers said.
    """

    takes: tuple[Singer, ...]
    bank: dict[str, Speaker] = field(repr=False)

    def play(self, notes: Sequence[Note], seconds: float, random: np.random.Generator) -> Audio:
        """Dry audio, ``[1, round(seconds * SAMPLE_RATE)]``, or ``[2, …]`` where several takes are spread out.

        Notes that sound together go to different lines, four at most.
        """
        length = round(seconds * SAMPLE_RATE)
        lines = _lines(notes)
        takes = self.takes[: max(1, _MOST_SOUNDING // max(len(lines), 1))]
        several = len(takes) * len(lines) > 1
        audio = np.zeros((2 if several else 1, length), np.float32)
        for line in lines:
            for number, singer in enumerate(takes):
                take = _sing_line(line, length, singer, self.bank[singer.speaker], random)
                side = random.uniform(-0.9, 0.9) if several else 0.0
                angle = np.pi / 4 * (1 + side)
                gains = [np.cos(angle), np.sin(angle)] if several else [1.0]
                audio += np.outer(gains, take * (1.0 if number == 0 else random.uniform(0.5, 1.0)))
        loudest = float(np.max(np.abs(audio), initial=0.0))
        return audio * (_PEAK / loudest) if loudest > 0 else audio


class VoicePlayer:
    """Chooses singers.

    Args:
        bank: folder for the analysed speech, made once; the user's cache without one.
        speakers: whose synthetic speech, of `SPEAKERS`.
        lines: how many lines of text each of them speaks.
        samples: folder with recorded speakers, sung vowels and performances.
        split: who may be heard; synthetic speakers are for training, or for all where nobody is recorded.
    """

    def __init__(
        self,
        bank: Path | None = None,
        speakers: Sequence[str] = SPEAKERS,
        lines: int = LINES,
        samples: Path | None = None,
        split: Split = "training",
    ) -> None:
        folder = bank or platformdirs.user_cache_path("stemsplitter") / "voices"
        self._samples, self._split = samples, split
        people = spoken.speakers(samples, split) if samples else {}
        self._bank = {
            name: kept(folder / f"{name}.npz", partial(_analysed, paths)) for name, paths in people.items()
        }
        self._bank = {name: each for name, each in self._bank.items() if len(each.syllables) >= ENOUGH}
        if split == "training" or not self._bank:
            self._bank |= load_bank(folder, speakers, lines)

    def choose(self, random: np.random.Generator, role: str = "lead", style: str = "pop") -> Instrument:
        """Choose a singer for a part of this role (lead, harmony) in a song of this style."""
        kind = random.random()
        if kind < RECORDED[role]:
            found = recordings.choose("vocals", role, style, random, self._samples, self._split)
        elif kind < RECORDED[role] + PERFORMED[role]:
            found = performances.choose("vocals", role, random, self._samples, self._split)
        elif style in ("metal", "rock") and kind > 1 - SHOUTED[style]:
            found = performances.shouts(random, self._samples, self._split)
        else:
            found = None
        return found or self.singer(random, role, style)

    def singer(self, random: np.random.Generator, role: str = "lead", style: str = "pop") -> Vocal:
        """A singer made of a speaker."""
        singer = draw_singer(random, list(self._bank), role, style)
        doubles = int(random.integers(1, 4)) if role == "harmony" else int(random.random() < 0.15)
        others = [singer.beside(random) for _ in range(doubles)]
        if role == "harmony":
            others = [self._somebody_else(other, random) for other in others]
        return Vocal((singer, *others), self._bank)

    def _somebody_else(self, singer: Singer, random: np.random.Generator) -> Singer:
        if random.random() < 0.5:
            return singer
        return draw_singer(random, list(self._bank), "harmony").beside(random)


def _analysed(paths: Sequence[Path]) -> Speaker:
    return analyse([(path, spoken.segments(path)) for path in paths])


def _lines(notes: Sequence[Note]) -> list[list[Note]]:
    """Notes that do not overlap by more than a legato does; what a fifth singer would be needed for is left out."""
    lines: list[list[Note]] = []
    for note in sorted(notes, key=lambda note: (note.start, note.pitch)):
        free = [line for line in lines if line[-1].start + line[-1].duration <= note.start + 0.08]
        if free:
            min(free, key=lambda line: abs(line[-1].pitch - note.pitch)).append(note)
        elif len(lines) < _MOST_LINES:
            lines.append([note])
    return lines


def _sing_line(
    notes: Sequence[Note], length: int, singer: Singer, speaker: Speaker, random: np.random.Generator
) -> Audio:
    median = float(np.median([note.pitch for note in notes]))
    scale = singer.formant_scale(median)
    text = syllables(singer, speaker, random)
    audio = np.zeros(length, np.float32)
    free = 0  # the first frame after the last phrase
    for phrase in phrases(notes):
        origin, frames = perform(phrase, median, singer, speaker, text, random)
        breath = random.uniform(0.2, 0.5)
        if origin - to_frame(breath) > free and random.random() < singer.breaths:
            inhaled = breathe(singer, speaker, breath, random)
            _add(audio, origin - len(inhaled), inhaled, singer, scale, random)
        _add(audio, origin, frames, singer, scale, random)
        free = origin + len(frames)
    return _drive(_ride(audio), singer.drive)


def _add(
    audio: Audio, origin: int, frames: Frames, singer: Singer, scale: float, random: np.random.Generator
) -> None:
    sound = synthesise(frames, singer, scale, random)
    start = origin * HOP
    first, last = max(start, 0), min(start + len(sound), len(audio))
    if first < last:
        audio[first:last] += sound[first - start : last - start]


def _ride(audio: Audio) -> Audio:
    """Levels evened out by two fifths, over a third of a second, as an engineer's hand on the fader does."""
    blocks = -(-len(audio) // HOP)
    power = np.mean(np.pad(audio, (0, blocks * HOP - len(audio))).reshape(blocks, HOP) ** 2, axis=1)
    sounding = power > 1e-4 * power.max(initial=0)
    if not sounding.any():
        return audio
    window = np.hanning(to_frame(0.35) | 1)
    near = np.convolve(power * sounding, window, "same") / (np.convolve(sounding, window, "same") + 1e-3)
    gains = np.clip(near / np.median(near[sounding]) + 1e-9, 0.05, 20) ** -0.2
    gains = np.interp(np.arange(blocks), np.flatnonzero(sounding), gains[sounding])
    return (audio * np.interp(np.arange(len(audio)) / HOP - 0.5, np.arange(blocks), gains)).astype(np.float32)


def _drive(audio: Audio, amount: float) -> Audio:
    """Soft clipping, harder with the amount; the level stays about where it was."""
    if amount == 0:
        return audio
    push = 1 + 2.5 * amount**2
    top = float(np.quantile(np.abs(audio), 0.999)) or 1.0
    return (np.tanh(push * audio / top) * top / np.tanh(push)).astype(np.float32)
