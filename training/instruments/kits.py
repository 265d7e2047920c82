"""Drum kits and percussion put together at random from recorded strokes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
from scipy.signal import butter, sosfilt

from training.instruments.catalogue import Split
from training.instruments.drumsets import drum_sets
from training.instruments.libraries import load, transpose
from training.instruments.strokes import ACOUSTIC, Strokes, find, strokes
from training.score import SAMPLE_RATE, Audio, Note

BEFORE: Final = 0.002  # seconds that a stroke's audio starts ahead of its onset
CHOKE: Final = 0.02  # seconds in which the hat closes
TOUCHES: Final = 4  # grades of loudness that differ in tone, not only in level
TURNS: Final = 3  # strokes of one grade that differ a little


@dataclass(frozen=True)
class Place:
    """Level, position and decay of a piece in the kit.

    Attributes:
        level: dB of its loudest stroke's peak.
        pan: how far from the middle it may be, 0…1.
        decay: shortest and longest decay in seconds that it may be damped to (by 8.7 dB).
    """

    level: float
    pan: float
    decay: tuple[float, float]


PLACES: Final[Mapping[str, Place]] = MappingProxyType(
    {
        "kick": Place(0, 0.05, (0.06, 0.6)),
        "snare": Place(-1, 0.15, (0.05, 0.4)),
        "stick": Place(-7, 0.15, (0.03, 0.2)),
        "clap": Place(-4, 0.3, (0.05, 0.4)),
        "closed": Place(-11, 0.5, (0.02, 0.1)),
        "pedal": Place(-13, 0.5, (0.03, 0.2)),
        "open": Place(-9, 0.5, (0.2, 1.0)),
        "ride": Place(-9, 0.6, (0.2, 1.2)),
        "bell": Place(-9, 0.6, (0.15, 0.6)),
        "crash": Place(-5, 0.7, (0.5, 2.0)),
        "tom high": Place(-3, 0.5, (0.1, 0.6)),
        "tom middle": Place(-3, 0.3, (0.12, 0.7)),
        "tom low": Place(-2, 0.6, (0.15, 0.8)),
    }
)
PERCUSSION: Final = Place(-6, 0.7, (0.04, 0.4))
# Of each key of General MIDI's drums: the piece, and the semitones that it is tuned off the recording.
KEYS: Final[Mapping[int, tuple[str, float]]] = MappingProxyType(
    {
        35: ("kick", -1), 36: ("kick", 0), 37: ("stick", 0), 38: ("snare", 0), 39: ("clap", 0), 40: ("snare", 1),
        41: ("tom low", -3), 42: ("closed", 0), 43: ("tom low", 0), 44: ("pedal", 0), 45: ("tom middle", -2),
        46: ("open", 0), 47: ("tom middle", 0), 48: ("tom high", -2), 49: ("crash", 0), 50: ("tom high", 0),
        51: ("ride", 0), 52: ("crash", -4), 53: ("bell", 5), 54: ("tambourine", 2), 55: ("crash", 4),
        56: ("cowbell", 0), 57: ("crash", -2), 59: ("ride", -2), 60: ("hand high", 5), 61: ("hand high", 0),
        62: ("hand slap", 0), 63: ("hand high", -2), 64: ("hand low", 3), 65: ("tom high", 4),
        66: ("tom high", 1), 69: ("shaker", -2), 70: ("shaker", 3), 75: ("block", 5), 76: ("block", 2),
        77: ("block", -3), 80: ("triangle", 0), 81: ("triangle", 0), 82: ("shaker", 0),
    }
)  # fmt: skip
HATS: Final = ("closed", "pedal", "open")
CYMBALS: Final = (*HATS, "ride", "bell", "crash")


@dataclass(frozen=True)
class Piece:
    """One drum or cymbal with its tuning, damping and tone.

    Attributes:
        layers: recordings heard together, each with its gain.
        semitones: tuning off the recordings.
        decay: seconds in which it is damped by 8.7 dB.
        click: dB by which its first milliseconds stand out.
        tone: dB below and above 900 Hz.
        gain: factor of its loudest stroke.
        pan: −1 left … 1 right.
    """

    layers: tuple[tuple[Strokes, float], ...]
    semitones: float
    decay: float
    click: float
    tone: tuple[float, float]
    gain: float
    pan: float
    _strokes: dict[tuple[int, int, float], Audio] = field(default_factory=dict, repr=False)

    def stroke(self, velocity: float, turn: int, semitones: float) -> Audio:
        """A stroke ``[2, n]`` with a peak of 1 before panning; `turn` 0…`TURNS` − 1 picks one of several alike."""
        touch = min(int(velocity * TOUCHES), TOUCHES - 1)
        key = touch, turn, semitones
        if key not in self._strokes:
            self._strokes[key] = self._render(touch, turn, semitones)
        return self._strokes[key]

    def _render(self, touch: int, turn: int, semitones: float) -> Audio:
        parts = []
        for names, gain in self.layers:
            path = find(names[touch * len(names) // TOUCHES])
            tuned = self.semitones + semitones + 0.12 * (turn - 1)
            audio = transpose(load(path, 4.0), tuned, 3.0, BEFORE)
            parts.append(audio * (gain / max(float(np.abs(audio).max()), 1e-6)))
        audio = np.zeros((2, max(part.shape[1] for part in parts)), np.float32)
        for part in parts:
            audio[:, : part.shape[1]] += part
        time = np.maximum(np.arange(audio.shape[1], dtype=np.float32) / SAMPLE_RATE - np.float32(BEFORE), 0)
        attack = 1 + (10 ** (self.click / 20) - 1) * np.exp(-time / 0.004)
        audio = self._tinted(audio * (attack * np.exp(-time / self.decay)), touch, turn)
        audio = audio[:, : int(np.argmax(time > 8 * self.decay)) or None]
        audio[:, -64:] *= np.linspace(1, 0, audio[:, -64:].shape[1])
        audio *= self.gain / max(float(np.abs(audio).max()), 1e-6)
        left, right = np.sqrt(1 - self.pan), np.sqrt(1 + self.pan)
        return np.asarray(audio * np.array([[left], [right]]), np.float32)

    def _tinted(self, audio: Audio, touch: int, turn: int) -> Audio:
        """Its own tone; a soft stroke is duller than a loud one."""
        low = sosfilt(butter(1, 900, fs=SAMPLE_RATE, output="sos"), audio)
        dull = 2.5 * (TOUCHES - 1 - touch) + 0.5 * turn
        return np.asarray(
            low * 10 ** (self.tone[0] / 20) + (audio - low) * 10 ** ((self.tone[1] - dull) / 20)
        )


@dataclass(frozen=True)
class Kit:
    """Drums and percussion by General MIDI's keys.

    Attributes:
        pieces: by name, as in `KEYS`.
        power: how much louder a harder stroke is: its gain is the velocity to this power.
    """

    pieces: Mapping[str, Piece]
    power: float

    def play(self, notes: Sequence[Note], seconds: float, random: np.random.Generator) -> Audio:
        """See `training.score.Instrument`. Keys that the kit has no piece for are silent."""
        out = np.zeros((2, round(seconds * SAMPLE_RATE)), np.float32)
        notes = [note for note in notes if KEYS.get(note.pitch, ("",))[0] in self.pieces]
        notes.sort(key=lambda note: note.start)
        hats = np.array([note.start for note in notes if KEYS[note.pitch][0] in HATS])
        for note in notes:
            name, semitones = KEYS[note.pitch]
            audio = self.pieces[name].stroke(note.velocity, int(random.integers(TURNS)), semitones)
            if name == "open":
                audio = self._choked(audio, note.start, hats)
            if name.startswith("hand") and note.muted:
                audio = audio * np.exp(-np.arange(audio.shape[1], dtype=np.float32) / (0.03 * SAMPLE_RATE))
            gain = note.velocity**self.power * 10 ** (random.normal(0, 0.5) / 20)
            _add(out, audio, round((note.start - BEFORE) * SAMPLE_RATE), gain)
        peak = np.abs(out).max()
        return out * np.float32(0.5 / peak) if peak > 0 else out

    def _choked(self, audio: Audio, start: float, hats: np.ndarray) -> Audio:
        later = hats[hats > start + 0.02]
        length = round((later[0] - start + BEFORE) * SAMPLE_RATE) if later.size else audio.shape[1]
        fade = round(CHOKE * SAMPLE_RATE)
        if length + fade >= audio.shape[1]:
            return audio
        audio = audio[:, : length + fade].copy()
        audio[:, length:] *= np.linspace(1, 0, fade, dtype=np.float32)
        return audio


def _add(out: Audio, audio: Audio, first: int, gain: float) -> None:
    skip = max(0, -first)
    audio = audio[:, skip : max(skip, out.shape[1] - first)]
    out[:, first + skip : first + skip + audio.shape[1]] += np.float32(gain) * audio


HOME: Final = 0.65  # share of kits whose pieces were recorded together, as far as there are such
ELECTRONIC_STYLES: Final = {"electronic": 0.9, "pop": 0.3, "reggae": 0.1, "funk": 0.1}


def kit(
    style: str, random: np.random.Generator, samples: Path | None = None, split: Split = "training"
) -> Kit | None:
    """A kit whose every piece is picked, tuned, damped and coloured at random; None where no samples are.

    Debian's packages are for training alone.
    """
    machine = random.random() < ELECTRONIC_STYLES.get(style, 0.04)
    sets = drum_sets(samples, split) if samples else ()
    fitting = [each for each in sets if each.sort == ("electronic" if machine else "acoustic")]
    home = fitting[random.integers(len(fitting))] if fitting and random.random() < HOME else None
    others = [*fitting, *(each for each in sets if each.sort in ("percussion", "snares"))]
    pools: dict[str, tuple[Strokes, ...]] = {}
    for name in ACOUSTIC:
        recorded = [drum for each in others for drum in each.pieces.get(name, ())]
        if home and name in home.pieces and not (name == "snare" and random.random() < 0.25):
            pools[name] = home.pieces[name]
        elif split == "held-out" or (recorded and random.random() < 0.6):
            pools[name] = tuple(recorded)
        else:
            pools[name] = strokes(name, machine) or tuple(recorded)
    pools = {name: pool for name, pool in pools.items() if pool}
    if "kick" not in pools:
        return None
    # Pieces of a kit have much in common: a dry studio or drums that ring, microphones near the cymbals or not.
    dryness, cymbals = random.random(), float(random.normal(0, 3))
    pieces = {
        name: _piece(name, pool, dryness, cymbals if name in CYMBALS else 0.0, random)
        for name, pool in pools.items()
    }
    return Kit(MappingProxyType(pieces), power=float(random.uniform(1.1, 1.9)))


def _piece(
    name: str, pool: tuple[Strokes, ...], dryness: float, level: float, random: np.random.Generator
) -> Piece:
    place = PLACES.get(name, PERCUSSION)
    picked = random.permutation(len(pool))
    layers = [(pool[picked[0]], 1.0)]
    if name in ("kick", "snare") and len(pool) > 1 and random.random() < 0.45:
        layers.append((pool[picked[1]], float(10 ** (random.uniform(-12, -2) / 20))))
    low, high = place.decay
    ringing = np.clip(1 - dryness + random.normal(0, 0.2), 0, 1.2)
    return Piece(
        layers=tuple(layers),
        semitones=float(random.uniform(-2, 2)),
        decay=float(low * (high / low) ** ringing),
        click=float(random.normal(0, 3)),
        tone=(float(random.normal(0, 2.5)), float(random.normal(0, 2.5))),
        gain=float(10 ** ((place.level + level + random.normal(0, 2.0)) / 20)),
        pan=float(random.uniform(-1, 1) * place.pan),
    )
