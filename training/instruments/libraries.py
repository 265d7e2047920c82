"""Folders of recorded single notes: what each file is, read off its name, and its audio."""

import re
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
import soxr
from scipy.signal import butter, sosfilt

from training.instruments.catalogue import LIBRARIES
from training.score import SAMPLE_RATE, Audio

SUFFIXES: Final = (".opus", ".flac", ".wav", ".ogg")
DYNAMICS: Final = {
    "ppp": 0, "pp": 0, "p": 1, "mp": 2, "mf": 3, "m": 3, "f": 4, "ff": 5, "fff": 6, "pa": 1, "ma": 3, "fa": 4,
    "soft": 1, "l": 1, "h": 4,
}  # fmt: skip
ARTICULATIONS: Final = {
    "staccato": "staccato",
    "stacc": "staccato",
    "s": "staccato",
    "mute": "staccato",
    "release": "release",
    "rel": "release",
    "hammer": "hammer",
}
RUMBLE: Final = 24.0  # Hz
CACHE_BYTES: Final = 256 * 2**20
_SEMITONES: Final = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_ACCIDENTALS: Final = {"": 0, "b": -1, "#": 1, "s": 1}
# a name, its octave, and in some libraries the loudness at once: c4, f#3v100, a1pp, e
_PITCH: Final = re.compile(r"([a-g])([b#s]?)(\d?)(?:v(\d+|[hl])|(pp|p|mp|f|ff))?")
_MIDI: Final = re.compile(r"m(\d\d)|(?:close(\d+))")
_GRADE: Final = re.compile(r"(?:vl|level|v)(\d+)")
_LOWEST_NAME: Final = 4  # names without an octave begin with the E of a bass's lowest string


@dataclass(frozen=True)
class Recording:
    """One file. `pitch` is a MIDI number, -1 where it has none; `dynamic` ranks its loudness from soft to loud."""

    path: Path
    articulation: str
    pitch: int
    dynamic: int


def parse(path: Path, octaves: int) -> Recording | None:
    """Read a file's name; None for what is no note (scrapes, knocks, finger noises)."""
    name = path.stem.lower().replace("close_", "close")
    words = re.split(r"[_\s-]+", name)
    articulation = next((ARTICULATIONS[word] for word in words if word in ARTICULATIONS), "sustain")
    dynamic = next((DYNAMICS[word] for word in words if word in DYNAMICS), 3)
    dynamic = next((int(match[1]) for word in words if (match := _GRADE.fullmatch(word))), dynamic)
    if words[0].startswith("btb") or "fake" in words:  # behind the bridge, or made of another: not that pitch
        return None
    if midi := next((match for word in words if (match := _MIDI.fullmatch(word))), None):
        return Recording(path, articulation, int(midi[1] or midi[2]) + 12 * octaves, dynamic)
    found = [match for word in words if (match := _PITCH.fullmatch(word))]
    match = next((each for each in found if each[3]), None) or (found[-1] if found else None)
    if match and (match[3] or len(words) == 2):
        letter, accidental, octave, velocity, touch = match.groups()
        step = _SEMITONES[letter] + _ACCIDENTALS[accidental]
        number = int(octave) if octave else 1 + (step < _LOWEST_NAME)
        if velocity:
            dynamic = int(velocity) // 20 if velocity.isdigit() else DYNAMICS[velocity]
        elif touch:
            dynamic = DYNAMICS[touch]
        return Recording(path, articulation, 12 * (number + 1 + octaves) + step, dynamic)
    return Recording(path, "mute", -1, dynamic) if words[0].startswith("mute") else None


@cache
def recordings(samples: Path, name: str, microphone: str = "") -> tuple[Recording, ...]:
    """All notes of a library, in the order of their names; empty where its folder is missing."""
    library = LIBRARIES[name]
    only = re.compile(library.only)
    chosen = (
        path
        for path in sorted((samples / library.folder).rglob("*"))
        if path.suffix in SUFFIXES and path.stem.endswith(microphone) and only.match(path.stem.lower())
    )
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


def read(path: Path, seconds: float = 600.0) -> tuple[Audio, int]:
    """Return a file's beginning as ``[n, channels]``, and its rate; of a damaged file what precedes the damage."""
    with soundfile.SoundFile(path) as file:
        wanted = int(seconds * file.samplerate)
        try:
            return file.read(wanted, dtype="float32", always_2d=True), file.samplerate
        except soundfile.LibsndfileError:
            pass
    with soundfile.SoundFile(path) as file:
        blocks = []
        with suppress(soundfile.LibsndfileError):
            while (have := sum(map(len, blocks))) < wanted:
                blocks.append(file.read(min(4096, wanted - have), dtype="float32", always_2d=True))
        return np.concatenate(blocks), file.samplerate


def _decode(path: Path, seconds: float) -> Sound:
    frames, rate = read(path, seconds)
    # a heater's or a lorry's rumble below the lowest note, in some recordings as loud as the note
    rumble_free = sosfilt(butter(4, RUMBLE, "highpass", fs=rate, output="sos"), frames.T[:2])
    audio = np.ascontiguousarray(rumble_free, dtype=np.float32)
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
