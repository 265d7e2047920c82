"""Folders of recorded single notes: what each file is, read off its name, and its audio."""

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
import soundfile
import soxr

from training.score import SAMPLE_RATE, Audio

SUFFIXES: Final = (".opus", ".flac", ".wav", ".ogg")
DYNAMICS: Final = {"pp": 0, "p": 1, "mp": 2, "mf": 3, "f": 4, "ff": 5, "vl1": 1, "vl2": 2, "vl3": 3, "vl4": 4}
ARTICULATIONS: Final = {"staccato": "staccato", "release": "release", "rel": "release", "hammer": "hammer"}
CACHE_BYTES: Final = 256 * 2**20
_SEMITONES: Final = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_ACCIDENTALS: Final = {"": 0, "b": -1, "#": 1}
_PITCH: Final = re.compile(r"([a-g])([b#]?)(-?\d)")
_GUITAR_STRINGS: Final = (40, 45, 50, 55, 59, 64)


@dataclass(frozen=True)
class Library:
    """Where a library lies and what its names mean.

    Attributes:
        folder: below the folder of all recordings.
        octaves: added to the octave in the names, with C4 = 60. Measured: f0 by autocorrelation of every note.
        strings: open strings as MIDI numbers, if it is fretted.
        microphone: a last part of the names of which one is kept for a player, where there are several.
    """

    folder: str
    octaves: int
    strings: tuple[int, ...] = ()
    microphones: tuple[str, ...] = ()


# Karoryfer Samples' libraries (CC0) and AKAI's piano in the SFZ edition by kinwie (public domain).
LIBRARIES: Final[Mapping[str, Library]] = MappingProxyType(
    {
        "emily": Library("emilyguitar", 0, _GUITAR_STRINGS),
        "electric": Library("shinyguitar/Samples/electric", 0, _GUITAR_STRINGS),
        "acoustic": Library("shinyguitar/Samples/acoustic", 0, _GUITAR_STRINGS),
        "black": Library("black-and-green-guitars/Samples/black", -1, _GUITAR_STRINGS),
        "green": Library("black-and-green-guitars/Samples/green", -1, _GUITAR_STRINGS),
        "bass": Library("growlybass", -1, (28, 33, 38, 43)),
        "piano": Library("splendid-grand-piano/Samples", 1),
        "saxophone": Library("weresax/Samples/alto", 1, microphones=("cnd", "dnm")),
    }
)


@dataclass(frozen=True)
class Recording:
    """One file. `pitch` is a MIDI number, -1 where it has none; `dynamic` ranks its loudness, from soft, 0…5."""

    path: Path
    articulation: str
    pitch: int
    dynamic: int


def parse(path: Path, octaves: int) -> Recording | None:
    """What a file's name says; None for what is no note (scrapes, knocks, finger noises)."""
    words = path.stem.lower().split("_")
    articulation = next((ARTICULATIONS[word] for word in words if word in ARTICULATIONS), "sustain")
    dynamic = next((DYNAMICS[word] for word in words if word in DYNAMICS), 3)
    match = next((match for word in words if (match := _PITCH.fullmatch(word))), None)
    if match and not words[0].startswith("btb"):  # behind the bridge: another pitch than the name says
        letter, accidental, octave = match.groups()
        pitch = 12 * (int(octave) + 1 + octaves) + _SEMITONES[letter] + _ACCIDENTALS[accidental]
        return Recording(path, articulation, pitch, dynamic)
    return Recording(path, "mute", -1, dynamic) if words[0].startswith("mute") else None


@cache
def recordings(samples: Path, name: str, microphone: str = "") -> tuple[Recording, ...]:
    """All notes of a library, in the order of their names; empty where its folder is missing."""
    library = LIBRARIES[name]
    files = sorted((samples / library.folder).rglob("*"))
    chosen = (path for path in files if path.suffix in SUFFIXES and path.stem.endswith(microphone))
    return tuple(recording for path in chosen if (recording := parse(path, library.octaves)))


@dataclass(frozen=True)
class Sound:
    """Decoded audio.

    Attributes:
        audio: float32 ``[1 or 2, n]``, the file or its beginning.
        rate: Hz.
        onset: the sample at which it begins to sound.
        level: RMS of the 0.4 s from there.
        whole: whether `audio` is the whole file.
    """

    audio: Audio
    rate: int
    onset: int
    level: float
    whole: bool


_sounds: OrderedDict[Path, Sound] = OrderedDict()


def load(path: Path, seconds: float = 1.0) -> Sound:
    """Decode a file up to at least `seconds` after its onset, or take it from the cache.

    The cache holds `CACHE_BYTES`, the last used. Few notes last as long as their recordings, so that decoding
    the beginnings alone saves most of the time and memory.
    """
    sound = _sounds.get(path)
    if sound is None or not (sound.whole or sound.audio.shape[1] >= sound.onset + seconds * sound.rate):
        # Twice as much as was asked for, so that a file is seldom decoded twice.
        sound = _sounds[path] = _decode(path, max(2.0, 2 * seconds))
        _sounds.move_to_end(path)  # a longer take of what was there already does not move by itself
        held = sum(each.audio.nbytes for each in _sounds.values())
        for oldest in list(_sounds)[:-1]:
            if held <= CACHE_BYTES:
                break
            held -= _sounds.pop(oldest).audio.nbytes
    _sounds.move_to_end(path)
    return sound


def _decode(path: Path, seconds: float) -> Sound:
    with soundfile.SoundFile(path) as file:
        rate = file.samplerate
        frames = file.read(int(seconds * rate), dtype="float32", always_2d=True)
    audio = np.ascontiguousarray(frames.T[:2])
    start = onset(audio[:, : 2 * rate], rate)  # of the same part however much is decoded
    level = float(np.sqrt(np.mean(audio[:, start : start + int(0.4 * rate)] ** 2) + 1e-12))
    return Sound(audio, rate, start, level, whole=len(frames) < int(seconds * rate))


def onset(audio: Audio, rate: int, share: float = 0.15) -> int:
    """The first sample that exceeds `share` of the peak of the half second after the sound appears."""
    level = np.abs(audio).max(axis=0)
    if not level.any():
        return 0
    appears = int(np.argmax(level > 0.02 * level.max()))
    peak = level[appears : appears + rate // 2].max()
    return int(np.argmax(level > share * peak))


def transpose(sound: Sound, semitones: float, seconds: float, before: float = 0.004) -> Audio:
    """The sound at `SAMPLE_RATE`, played faster or slower, for at most `seconds` from its onset.

    It starts exactly `before` seconds ahead of the onset (with silence where the file has less) and fades in
    until there, so that the noise of the pick stays and nothing clicks.
    """
    speed = 2 ** (semitones / 12)
    ahead = round(before * sound.rate * speed)
    end = sound.onset + int(seconds * sound.rate * speed) + 1
    piece = sound.audio[:, max(0, sound.onset - ahead) : end]
    piece = np.pad(piece, ((0, 0), (max(0, ahead - sound.onset), 0)))
    out = soxr.resample(piece.T, sound.rate * speed, SAMPLE_RATE, quality="MQ").T
    fade = min(round(before * SAMPLE_RATE), out.shape[1])
    out[:, :fade] *= np.linspace(0, 1, fade, dtype=np.float32)
    return np.ascontiguousarray(out, dtype=np.float32)
