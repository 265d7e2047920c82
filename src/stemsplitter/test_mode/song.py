"""The built-in song: four bars that are rendered instrument by instrument, so that its stems are known."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from stemsplitter.audio.encode import StemWriter
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.tags import Tags
from stemsplitter.separation.layouts import SIX_STEMS

Samples = npt.NDArray[np.float32]
Signal = npt.NDArray[np.float64]

RATE: Final = 44_100
SECONDS: Final = 8
TAGS: Final = Tags(title="Demo")

_BEAT_S = 0.5
_BAR_S = 4 * _BEAT_S
# notes of MIDI: A minor, F, C and G, a bar each
_CHORDS = ((57, 60, 64), (53, 57, 60), (48, 52, 55), (55, 59, 62))
_MELODY = (69, 72, 76, 72, 69, 72, 77, 72, 67, 72, 76, 72, 71, 74, 79, 74)  # a beat each
_PLUCKED, _STRUCK, _HELD = 6.0, 3.0, 0.5  # decay per second
# level, and the shares of the left and the right channel
_MIX = {
    "vocals": (0.20, 1.0, 1.0),
    "drums": (0.22, 1.0, 1.0),
    "bass": (0.20, 1.0, 1.0),
    "guitar": (0.10, 1.0, 0.5),
    "piano": (0.10, 0.5, 1.0),
    "other": (0.06, 0.8, 1.0),
}
_FULL_SCALE = np.float32(1 << 23)


def render() -> Samples:
    """Return the stems of :data:`SIX_STEMS`, float32 ``[6, 2, n]``, whose samples are integers of 24 bits.

    So are those of their sum, which is the song and does not clip.
    """
    signals = {
        "vocals": _voice(),
        "drums": _drums(),
        "bass": _notes((bar * _BAR_S + beat * _BEAT_S, chord[0] - 24) for bar, beat, chord in _beats()),
        "guitar": _notes(_arpeggio(), _PLUCKED),
        "piano": _notes((bar * _BAR_S, note) for bar, chord in enumerate(_CHORDS) for note in chord),
        "other": _notes(
            ((bar * _BAR_S, note + 12) for bar, chord in enumerate(_CHORDS) for note in chord), _HELD
        ),
    }
    stems = np.empty((len(SIX_STEMS), 2, RATE * SECONDS), np.float32)
    for stem, name in zip(stems, SIX_STEMS, strict=True):
        level, *channels = _MIX[name]
        signal = signals[name] * (level / np.abs(signals[name]).max())
        stem[...] = np.outer(channels, signal)
    rounded: Samples = np.rint(stems * _FULL_SCALE) / _FULL_SCALE
    return rounded


def write_song(path: Path) -> Path:
    """Write the song in the format of the path's extension, FLAC or WAV, with 24 bits."""
    fmt = OutputFormat.parse(f"{path.suffix[1:]}24")
    with StemWriter(path, fmt, RATE, 2, TAGS) as writer:
        writer.write(render().sum(axis=0))
        writer.commit()
    return path


def _beats() -> Iterable[tuple[int, int, tuple[int, ...]]]:
    return ((bar, beat, chord) for bar, chord in enumerate(_CHORDS) for beat in range(4))


def _arpeggio() -> Iterable[tuple[float, int]]:
    for bar, chord in enumerate(_CHORDS):
        for eighth in range(8):
            yield bar * _BAR_S + eighth * _BEAT_S / 2, chord[eighth % 3] + 12


def _notes(notes: Iterable[tuple[float, int]], decay: float = _STRUCK) -> Signal:
    """Return notes, each from a time on for a bar at most, with harmonics that decay."""
    signal = np.zeros(RATE * SECONDS)
    time = np.arange(round(_BAR_S * RATE)) / RATE
    envelope = np.exp(-decay * time) * np.minimum(1.0, time / 0.005) * np.minimum(1.0, (_BAR_S - time) / 0.02)
    tones: dict[int, Signal] = {}
    for start, note in notes:
        if note not in tones:
            tones[note] = _tone(note, time) * envelope
        part = signal[round(start * RATE) :][: len(time)]
        part += tones[note][: len(part)]
    return signal


def _voice() -> Signal:
    """Return a sung vowel with vibrato."""
    time = np.arange(RATE * SECONDS) / RATE
    pitch = np.repeat(440 * 2 ** ((np.array(_MELODY) - 69) / 12), round(_BEAT_S * RATE))
    phase = 2 * np.pi * np.cumsum(pitch * (1 + 0.01 * np.sin(2 * np.pi * 5 * time))) / RATE
    vowel: Signal = sum((np.sin(harmonic * phase) / harmonic**1.5 for harmonic in range(1, 12)), 0 * time)
    return vowel * np.minimum(1.0, (time % _BEAT_S) / 0.02)


def _drums() -> Signal:
    """Return a kick on each beat and noise on each half beat."""
    time = np.arange(RATE * SECONDS) / RATE
    since_beat, since_half = time % _BEAT_S, (time + _BEAT_S / 2) % _BEAT_S
    kick = np.sin(2 * np.pi * 55 * since_beat) * np.exp(-since_beat / 0.08)
    noise = np.random.default_rng(0).standard_normal(len(time)) * np.exp(-since_half / 0.03)
    return kick + 0.3 * noise


def _tone(note: int, time: Signal) -> Signal:
    phase = 2 * np.pi * 440 * 2 ** ((note - 69) / 12) * time
    tone: Signal = sum((np.sin(harmonic * phase) / harmonic**2 for harmonic in range(1, 5)), 0 * time)
    return tone
