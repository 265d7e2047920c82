"""Drum machines in the manner of the TR-808 and TR-909: every sound from oscillators and noise."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.signal import sosfilt

from training.instruments.filters import band_pass, high_pass
from training.instruments.wavetable import fade_out, normalise
from training.score import SAMPLE_RATE, Audio, Note

Floats = NDArray[np.float64]
Sound = Callable[[np.random.Generator], Floats]

KICKS, RIMS, SNARES, CLAPS = (35, 36), (37,), (38, 40), (39,)
CLOSED, OPEN = (42, 44), (46,)
CRASHES, RIDES = (49, 52, 55, 57), (51, 53, 59)
TOMS = {41: 0.6, 43: 0.72, 45: 0.85, 47: 1.0, 48: 1.2, 50: 1.4}
HAND_DRUMS = {60: 2.4, 61: 1.8, 62: 1.7, 63: 1.4, 64: 1.1, 65: 1.9, 66: 1.5}
BELLS = {56: 1.0, 67: 1.5, 68: 1.1}
STICKS = {75: 1.0, 76: 0.6, 77: 0.45}
RINGS = (80, 81)
# The six square waves from which the TR-808 makes all that is metal, hertz.
METAL = (205.3, 304.4, 369.6, 522.7, 540.0, 800.0)


def _time(seconds: float) -> Floats:
    return np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE


def _swept(start: float, end: float, sweep: float, decay: float) -> Floats:
    """A sine that falls from one frequency to another; both times are time constants in seconds."""
    time = _time(min(7 * decay, 3.0))
    turns = end * time + (start - end) * sweep * (1 - np.exp(-time / sweep))
    return np.asarray(np.sin(2 * np.pi * turns) * np.exp(-time / decay))


def _noise(decay: float, random: np.random.Generator) -> Floats:
    time = _time(min(7 * decay, 3.0))
    return np.asarray(random.normal(0, 0.4, time.size) * np.exp(-time / decay))


def _mixed(*sounds: Floats) -> Floats:
    audio = np.zeros(max(sound.size for sound in sounds))
    for sound in sounds:
        audio[: sound.size] += sound
    return audio


@dataclass
class DrumMachine:
    """A drum machine whose knobs were turned by chance.

    Attributes:
        random: turns the knobs when it is made.
        sounds: how to make the sound of each percussion key; made when first asked for.
    """

    random: np.random.Generator
    sounds: dict[int, Sound] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kick, snare, hats = self._kick(), self._snare(), self._hats(self.random.uniform(0.008, 0.05))
        self.sounds |= dict.fromkeys(KICKS, kick) | dict.fromkeys(SNARES, snare) | dict.fromkeys(CLOSED, hats)
        self.sounds |= dict.fromkeys(OPEN, self._hats(self.random.uniform(0.1, 0.4)))
        self.sounds |= dict.fromkeys(CRASHES, self._hats(self.random.uniform(0.5, 1.2)))
        self.sounds |= dict.fromkeys(RIDES, self._hats(self.random.uniform(0.2, 0.6)))
        self.sounds |= dict.fromkeys(CLAPS, self._clap()) | dict.fromkeys(RIMS, self._stick(0.7))
        root, decay = self.random.uniform(90, 190), self.random.uniform(0.08, 0.3)
        self.sounds |= {key: self._tom(root * ratio, decay) for key, ratio in TOMS.items()}
        self.sounds |= {key: self._tom(root * ratio, 0.4 * decay) for key, ratio in HAND_DRUMS.items()}
        self.sounds |= {key: self._bell(ratio) for key, ratio in BELLS.items()}
        self.sounds |= {key: self._stick(ratio) for key, ratio in STICKS.items()}
        self.sounds |= dict.fromkeys(RINGS, self._ring())
        self.shaker = self._shaker()

    def play(self, notes: Sequence[Note], seconds: float, random: np.random.Generator) -> Audio:
        """Dry stereo audio, peak 0.5; a closed hi-hat ends an open one."""
        audio = np.zeros((2, round(seconds * SAMPLE_RATE)), np.float32)
        hats = [note.start for note in notes if note.pitch in CLOSED + OPEN]
        takes: dict[int, list[Audio]] = {}
        places = {key: float(np.clip(random.normal(0, 0.35), -0.9, 0.9)) for key in range(128)}
        places |= dict.fromkeys((*KICKS, *SNARES, *CLAPS), 0.0)
        for note in notes:
            if note.pitch not in takes:
                make = self.sounds.get(note.pitch, self.shaker)
                takes[note.pitch] = [normalise(make(random).astype(np.float32)) for _ in range(2)]
            sound = takes[note.pitch][random.integers(2)]
            start = round(note.start * SAMPLE_RATE)
            stop = min(start + sound.size, audio.shape[1])
            if note.pitch in OPEN:
                choke = min((hat for hat in hats if hat > note.start + 0.02), default=np.inf)
                stop = int(min(stop, choke * SAMPLE_RATE))
            if start < 0 or stop <= start:
                continue
            angle = np.pi / 4 * (1 + places[note.pitch])
            gains = self._level(note) * np.array([[np.cos(angle)], [np.sin(angle)]], np.float32)
            audio[:, start:stop] += gains * fade_out(sound[: stop - start].copy())
        return normalise(audio, 0.5)

    @staticmethod
    def _level(note: Note) -> float:
        loud = 1.0 if note.pitch in KICKS + SNARES else 0.35 if note.pitch in CRASHES + RIDES else 0.5
        return loud * (0.1 + 0.9 * note.velocity**1.5)

    def _kick(self) -> Sound:
        draw = self.random.uniform
        end, start = draw(38, 62), draw(100, 420)
        sweep, decay, click, drive = draw(0.006, 0.05), draw(0.06, 0.45), draw(0, 0.5), draw(0.5, 5)

        def sound(random: np.random.Generator) -> Floats:
            tick = click * sosfilt(high_pass(1500), _noise(0.002, random))
            body = _swept(start * random.uniform(0.97, 1.03), end, sweep, decay)
            return np.asarray(np.tanh(drive * _mixed(body, tick)))

        return sound

    def _snare(self) -> Sound:
        draw = self.random.uniform
        low, ratio, body, tail = draw(140, 240), draw(1.4, 2.0), draw(0.03, 0.12), draw(0.05, 0.2)
        snap, bottom, drive = draw(0.3, 1.5), draw(400, 2500), draw(0.5, 3)

        def sound(random: np.random.Generator) -> Floats:
            wires = snap * sosfilt(high_pass(bottom), _noise(tail, random))
            shell = (
                _swept(2 * low, low, 0.01, body),
                0.6 * _swept(2 * low * ratio, low * ratio, 0.01, 0.7 * body),
            )
            return np.asarray(np.tanh(drive * _mixed(wires, *shell)))

        return sound

    def _clap(self) -> Sound:
        draw = self.random.uniform
        centre, tail, apart = draw(900, 1600), draw(0.05, 0.2), draw(0.007, 0.013)

        def sound(random: np.random.Generator) -> Floats:
            hands = [_noise(0.004, random) for _ in range(3)] + [_noise(tail, random)]
            late = [
                np.concatenate([np.zeros(round(n * apart * SAMPLE_RATE)), hand])
                for n, hand in enumerate(hands)
            ]
            return np.asarray(sosfilt(band_pass(0.7 * centre, 1.8 * centre), _mixed(*late)))

        return sound

    def _hats(self, decay: float) -> Sound:
        draw = self.random.uniform
        tune, metal, bottom = draw(0.8, 1.6), draw(0, 1), draw(4000, 8000)

        def sound(random: np.random.Generator) -> Floats:
            noise = _noise(decay, random)
            time = np.arange(noise.size) / SAMPLE_RATE
            squares = sum(np.sign(np.sin(2 * np.pi * tune * hertz * time)) for hertz in METAL)
            ring = 0.15 * squares * np.exp(-time / decay)
            return np.asarray(sosfilt(high_pass(bottom, 4), metal * ring + (1 - metal) * noise))

        return sound

    def _tom(self, hertz: float, decay: float) -> Sound:
        rise = self.random.uniform(1.1, 1.8)
        skin = self.random.uniform(0, 0.4)

        def sound(random: np.random.Generator) -> Floats:
            hit = skin * sosfilt(band_pass(300, 3000), _noise(0.02, random))
            return _mixed(_swept(hertz * rise, hertz, 0.04, decay), hit)

        return sound

    def _bell(self, ratio: float) -> Sound:
        low = self.random.uniform(500, 600) * ratio
        decay = self.random.uniform(0.04, 0.15)

        def sound(random: np.random.Generator) -> Floats:
            time = _time(7 * decay)
            squares = np.sign(np.sin(2 * np.pi * low * time)) + np.sign(np.sin(2 * np.pi * 1.48 * low * time))
            return np.asarray(sosfilt(band_pass(low, 3 * low), squares * np.exp(-time / decay)))

        return sound

    def _stick(self, ratio: float) -> Sound:
        hertz = self.random.uniform(1800, 2800) * ratio
        decay = self.random.uniform(0.006, 0.025)
        return lambda random: _mixed(_swept(hertz, hertz, 0.01, decay), 0.3 * _noise(0.003, random))

    def _ring(self) -> Sound:
        hertz, decay = self.random.uniform(3500, 5500), self.random.uniform(0.1, 0.8)
        return lambda random: _mixed(
            _swept(hertz, hertz, 0.01, decay), 0.5 * _swept(1.62 * hertz, 1.62 * hertz, 0.01, decay)
        )

    def _shaker(self) -> Sound:
        low, decay, rise = (
            self.random.uniform(2500, 6000),
            self.random.uniform(0.02, 0.06),
            self.random.uniform(0.001, 0.02),
        )

        def sound(random: np.random.Generator) -> Floats:
            noise = sosfilt(high_pass(low), _noise(decay, random))
            return np.asarray(noise * np.minimum(np.arange(noise.size) / (rise * SAMPLE_RATE), 1))

        return sound
