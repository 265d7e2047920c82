"""General MIDI soundfonts, played by FluidSynth inside this process.

The soundfonts are the packages fluid-soundfont-gm and musescore-general-soundfont, both under the MIT license.
"""

import ctypes
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import fluidsynth
import numpy as np

from training.instruments.catalogue import Split
from training.instruments.programs import DRUMS, HELD_OUT, PLAIN, Manner, Range, presets
from training.score import SAMPLE_RATE, Audio, Note

SOUNDFONTS: Final = (
    Path("/usr/share/sounds/sf2/FluidR3_GM.sf2"),
    Path("/usr/share/sounds/sf3/MuseScore_General_Full.sf3"),
)
# FluidSynth takes 255 for a voice without a channel; fewer, as samples stay in memory.
CHANNELS: Final = 64
# All bends are within an octave; MIDI's default of two semitones is too little to transpose a drum kit.
BEND_SEMITONES: Final = 12
# Numbers of the SoundFont 2.04 specification, 8.1.2: what is added to the filter's cutoff (cents), and to the
# volume envelope's attack, hold, decay and release (timecents: 1200 doubles the time) and sustain (0.1 dB less).
FILTER, ATTACK, HOLD, DECAY, SUSTAIN, RELEASE = 8, 34, 35, 36, 37, 38
SUSTAIN_PEDAL, EXPRESSION = 64, 11
UNAMPLIFIED: Final = (24, 25, 29, 30)  # General MIDI guitars: nylon, steel, overdriven, distorted
VIBRATO_STEP: Final = 0.01


def _function(name: str, result: type, **arguments: type) -> Callable[..., Any]:
    """A function of FluidSynth's library that its Python module leaves out."""
    return fluidsynth.cfunc(name, result, *((argument, kind, 1) for argument, kind in arguments.items()))


_write_float = _function(
    "fluid_synth_write_float",
    ctypes.c_int,
    synth=ctypes.c_void_p,
    len=ctypes.c_int,
    lout=ctypes.c_void_p,
    loff=ctypes.c_int,
    lincr=ctypes.c_int,
    rout=ctypes.c_void_p,
    roff=ctypes.c_int,
    rincr=ctypes.c_int,
)
_set_generator = _function(
    "fluid_synth_set_gen",
    ctypes.c_int,
    synth=ctypes.c_void_p,
    chan=ctypes.c_int,
    param=ctypes.c_int,
    value=ctypes.c_float,
)
_set_log_function = _function(
    "fluid_set_log_function", ctypes.c_void_p, level=ctypes.c_int, fun=ctypes.c_void_p, data=ctypes.c_void_p
)

# What is told at a moment: (seconds, order among events of one moment, method of `fluidsynth.Synth`, its arguments,
# of which the channel is first). Releases come before what starts at the same moment.
Event = tuple[float, int, str, tuple[int, ...]]


class _Synth:
    """A synthesizer with one soundfont: what it plays is a function of what it was told, so one for each part.

    FluidSynth shares the samples that synthesizers have loaded; `_keep` makes that loading rare.
    """

    def __init__(self, path: Path) -> None:
        for level in range(5):
            _set_log_function(level, None, None)
        self.synth = fluidsynth.Synth(
            gain=0.5,
            samplerate=SAMPLE_RATE,
            channels=CHANNELS,
            **{
                "synth.reverb.active": 0,
                "synth.chorus.active": 0,
                "synth.dynamic-sample-loading": 1,
                "synth.cpu-cores": 1,
            },
        )
        self.soundfont = self.synth.sfload(str(path))
        if self.soundfont < 0:
            raise FileNotFoundError(f"{path} is no soundfont; install the Debian package that it is in.")

    def select(self, channel: int, bank: int, program: int) -> None:
        if self.synth.program_select(channel, self.soundfont, bank, program) != 0:
            raise ValueError(f"The soundfont has no program {program} in bank {bank}.")
        for controller, value in ((101, 0), (100, 0), (6, BEND_SEMITONES), (38, 0)):  # RPN 0: bend range
            self.synth.cc(channel, controller, value)

    def set_generators(self, channel: int, generators: dict[int, float]) -> None:
        for generator, value in generators.items():
            _set_generator(self.synth.synth, channel, generator, value)

    def render(self, events: list[Event], seconds: float) -> Audio:
        """Render the events: ``[2, round(seconds * SAMPLE_RATE)]``."""
        audio = np.zeros((2, round(seconds * SAMPLE_RATE)), np.float32)
        done = 0
        for moment, _, method, arguments in sorted(events):
            done = self._write(audio, done, round(moment * SAMPLE_RATE))
            getattr(self.synth, method)(*arguments)
        self._write(audio, done, audio.shape[1])
        return audio

    def _write(self, audio: Audio, start: int, stop: int) -> int:
        stop = min(stop, audio.shape[1])
        if stop <= start:
            return start
        left, right = audio.ctypes.data, audio[1].ctypes.data
        _write_float(self.synth.synth, stop - start, left, start, 1, right, start, 1)
        return stop

    def close(self) -> None:
        self.synth.delete()


@cache
def _keeper(path: Path) -> tuple[_Synth, dict[tuple[int, int], int]]:
    return _Synth(path), {}


def _keep(path: Path, bank: int, program: int) -> None:
    """Leave the samples of this preset in memory, until 64 others have been played."""
    synth, channels = _keeper(path)
    channel = channels.pop((bank, program), None)
    if channel is None:
        channel = len(channels) if len(channels) < CHANNELS else channels.pop(next(iter(channels)))
        synth.select(channel, bank, program)
    channels[bank, program] = channel


@dataclass(frozen=True)
class SoundFontPlayer:
    """An instrument of a soundfont.

    Attributes:
        path: soundfont, SF2 or SF3.
        bank: 128 for drums.
        program: 0…127, counted from zero.
        manner: how it is played.
    """

    path: Path
    bank: int
    program: int
    manner: Manner = PLAIN

    @property
    def amplifier(self) -> bool:
        """True if an amplifier suits it: not wooden guitars, nor those that have had one."""
        return self.program not in UNAMPLIFIED

    def play(self, notes: Sequence[Note], seconds: float, random: np.random.Generator) -> Audio:
        """Dry stereo audio, peak 0.5; tuning, brightness, attack, release and dynamics differ each time."""
        drums = self.bank == DRUMS
        channel, muted = 0, 0 if drums else 1
        synth = self._synth(channel, muted, random)
        # A sample of another key, bent back to the pitch, has other formants: another instrument of its kind.
        shift = 0 if drums else int(random.integers(-2, 3))
        bend = float(np.clip(random.normal(0, 1), -4, 4)) if drums else -shift + float(random.normal(0, 0.05))
        notes = [note for note in notes if 0 <= note.start < seconds]
        key = shift + (_octaves(notes, self.manner.pitches) if self.manner.pitches else 0)
        events: list[Event] = [(0.0, 0, "pitch_bend", (one, _bend(bend))) for one in {channel, muted}]
        curve, floor = random.uniform(0.6, 1.3), random.integers(1, 40)
        for note in notes:
            one = muted if note.muted else channel
            pitch = int(np.clip(note.pitch + key, 0, 127))
            velocity = int(np.clip(floor + note.velocity**curve * (127 - floor), 1, 127))
            events.append((note.start, 1, "noteon", (one, pitch, velocity)))
            events.append((note.start + max(note.duration, 0.03), 0, "noteoff", (one, pitch)))
        if self.manner.pedal and random.random() < 0.6:
            events.extend(_pedal(channel, notes))
        if self.manner.singing and _monophonic(notes):
            events.extend(_vibrato(channel, notes, bend, random))
            events.extend(_swells(channel, notes, random))
        audio = synth.render(events, seconds)
        synth.close()
        return audio * np.float32(0.5 / max(float(np.abs(audio).max(initial=0)), 1e-6))

    def _synth(self, channel: int, muted: int, random: np.random.Generator) -> _Synth:
        """The instrument, its brightness and envelope, and what the palm of the hand leaves of it."""
        dark = -float(random.uniform(0, 2400)) if random.random() < 0.5 else 0.0
        # Added to the usual 1 ms: up to 40 ms.
        attack = float(random.uniform(2000, 6400)) if self.bank != DRUMS and random.random() < 0.25 else 0.0
        decay = -float(random.uniform(6500, 8500))
        damped = {HOLD: -20_000.0, DECAY: decay, SUSTAIN: 800.0, RELEASE: -3000.0, FILTER: dark}
        if self.manner.muted is None:
            damped[FILTER] -= float(random.uniform(600, 2400))
        presets = {channel: (self.bank, self.program)}
        generators = {channel: {FILTER: dark, ATTACK: attack, RELEASE: float(random.uniform(-1200, 600))}}
        if muted != channel:
            presets[muted] = self.manner.muted or (self.bank, self.program)
            generators[muted] = damped
        synth = _Synth(self.path)
        for one, (bank, program) in presets.items():
            _keep(self.path, bank, program)
            synth.select(one, bank, program)
            synth.set_generators(one, generators[one])
        return synth


def choose(
    stem: str, role: str, style: str, random: np.random.Generator, split: Split = "training"
) -> SoundFontPlayer | None:
    """An instrument of either soundfont that suits the part and the style; None where none is in the split.

    Raises:
        ValueError: no General MIDI instrument is of this stem (vocals).
    """
    path = SOUNDFONTS[random.integers(len(SOUNDFONTS))]
    known = presets(stem, role, style)
    held_out = HELD_OUT.get(stem, frozenset())
    fitting = [
        each for each in known if ((each[0].bank, each[0].program) in held_out) == (split == "held-out")
    ]
    if not fitting:
        return None
    weights = np.array([weight for _, weight in fitting])
    preset = fitting[random.choice(len(fitting), p=weights / weights.sum())][0]
    return SoundFontPlayer(path, *preset)


def _octaves(notes: Sequence[Note], pitches: Range) -> int:
    """Semitones, a multiple of twelve, that bring the middle of the notes into the range."""
    if not notes:
        return 0
    middle = float(np.median([note.pitch for note in notes]))
    low, high = pitches
    if low <= middle <= high:
        return 0
    return round(((low + high) / 2 - middle) / 12) * 12


def _bend(semitones: float) -> int:
    """Semitones as FluidSynth's wheel has them, -8192…8191 for the whole range down and up."""
    return int(np.clip(round(semitones / BEND_SEMITONES * 8192), -8192, 8191))


def _monophonic(notes: Sequence[Note]) -> bool:
    """Tell if at most one in ten notes begins while the one before is still clearly held."""
    overlaps = sum(b.start < a.start + 0.7 * a.duration for a, b in pairwise(notes))
    return bool(notes) and overlaps <= len(notes) / 10


def _pedal(channel: int, notes: Sequence[Note]) -> Iterator[Event]:
    """The pedal is lifted where the lowest note changes, and pressed again after the new chord is struck."""
    pressed, lowest = -1.0, -1
    for note in notes:
        if note.start < pressed + 0.4 or (note.pitch >= lowest and note.start < pressed + 2.5):
            continue
        yield note.start, 0, "cc", (channel, SUSTAIN_PEDAL, 0)
        yield note.start + 0.08, 0, "cc", (channel, SUSTAIN_PEDAL, 127)
        pressed, lowest = note.start, note.pitch


def _vibrato(
    channel: int, notes: Sequence[Note], bend: float, random: np.random.Generator
) -> Iterator[Event]:
    """Bends to the pitch from below on some notes, and vibrato that sets in late on the long ones."""
    rate, depth = random.uniform(4.5, 6.8), random.uniform(0.03, 0.45)
    onset, scoops = random.uniform(0.1, 0.4), random.uniform(0, 0.3)
    for note, after in zip(notes, [*notes[1:], None], strict=True):
        stop = min(note.duration, after.start - note.start) if after else note.duration
        scoop = random.uniform(0.3, 2) if random.random() < scoops and stop > 0.2 else 0.0
        times = np.arange(0, stop, VIBRATO_STEP)
        curve = depth * np.clip((times - onset) / 0.3, 0, 1) * np.sin(2 * np.pi * rate * times)
        curve -= scoop * np.clip(1 - times / 0.12, 0, 1)
        for time, offset in zip(times, curve, strict=True):
            if offset or not time:
                yield (
                    note.start + float(time),
                    0,
                    "pitch_bend",
                    (
                        channel,
                        _bend(bend + float(offset)),
                    ),
                )


def _swells(channel: int, notes: Sequence[Note], random: np.random.Generator) -> Iterator[Event]:
    """Long notes that grow: what a bow or breath does."""
    if random.random() < 0.5:
        return
    depth = random.uniform(20, 60)
    for note in notes:
        if note.duration < 0.5:
            yield note.start, 0, "cc", (channel, EXPRESSION, 120)
            continue
        for step in np.linspace(0, 1, 12):
            value = round(127 - depth * (1 - np.sin(np.pi * (0.15 + 0.7 * step))))
            yield note.start + float(step) * note.duration, 0, "cc", (channel, EXPRESSION, value)
