"""From notes to frames: which sound is held where, at which pitch, how loud.

A syllable's vowel starts with its note; the consonants before it are sung ahead of the beat, at the cost of the
vowel before, as singers do (Sundberg 1987, "The Science of the Singing Voice"). Consonants keep their length,
vowels are stretched in their middle.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from training.score import Note
from training.voices.bank import FRAMES_PER_SECOND, HISSES, VOWELS, Speaker, is_female
from training.voices.singer import Delivery, Singer
from training.voices.vocoder import Frames

Array = NDArray[np.float32]
Syllable = NDArray[np.int64]  # where onset, vowel and coda start and the coda ends
SILENCE: Final = -100.0
_PAD: Final = 4  # frames before a phrase
_TAIL: Final = 0.25  # seconds after it, in which the voice dies away
_HELD: Final[dict[Delivery, tuple[str, ...]]] = {"hummed": ("m", "n"), "ooh": ("uw",), "aah": ("aa", "ao")}
_FREE_PITCH: Final = frozenset({"rapped", "spoken", "whispered"})


@dataclass(frozen=True)
class _Group:
    """A syllable and the notes it is sung on, as frames of the phrase."""

    syllable: Syllable
    starts: tuple[int, ...]
    end: int


def to_frame(seconds: float) -> int:
    return round(seconds * FRAMES_PER_SECOND)


def syllables(singer: Singer, speaker: Speaker, random: np.random.Generator) -> Iterator[Syllable]:
    """Text without end: lines from any place on, or the one sound that the delivery holds."""
    if singer.delivery in _HELD:
        runs = speaker.runs(*_HELD[singer.delivery])
        runs = runs if len(runs) else speaker.runs(*VOWELS)
        longest = runs[: max(1, len(runs) // 3)]
        while True:
            start, end = random.choice(longest)
            yield np.array([start, start, end, end])
    order = random.permutation(len(speaker.lines) - 1)
    while True:
        for line in order:
            yield from speaker.syllables[speaker.lines[line] : speaker.lines[line + 1]]


def phrases(notes: Sequence[Note], rest: float = 0.3) -> list[list[Note]]:
    """Notes with no longer rest than this between them, in seconds."""
    found: list[list[Note]] = []
    for note in notes:
        if found and note.start - (found[-1][-1].start + found[-1][-1].duration) <= rest:
            found[-1].append(note)
        else:
            found.append([note])
    return found


def perform(
    notes: Sequence[Note],
    median: float,
    singer: Singer,
    speaker: Speaker,
    text: Iterator[Syllable],
    random: np.random.Generator,
) -> tuple[int, Frames]:
    """A phrase, and the frame of the song at which it starts (which may be before the song does)."""
    delivery: Delivery = "spoken" if random.random() < singer.asides else singer.delivery
    groups = _set_to_notes(notes, singer, text, random)
    first = groups[0]
    origin = first.starts[0] - int(first.syllable[1] - first.syllable[0]) - _PAD
    length = groups[-1].end + int(groups[-1].syllable[3] - groups[-1].syllable[2]) + to_frame(_TAIL) - origin
    groups = [_Group(g.syllable, tuple(s - origin for s in g.starts), g.end - origin) for g in groups]
    if delivery == "spoken":
        source, gain = _speak(groups, length, speaker, random)
    else:
        source, gain = _sing(groups, length, speaker, delivery, random)
    envelopes, voiced = _read(speaker, source)
    effort = singer.effort * voiced
    gain += singer.consonants * (1 - voiced)
    if delivery == "whispered":
        voiced[:] = 0
    since, which = _clock([start for group in groups for start in group.starts], length)
    velocity = _smooth(np.array([note.velocity for note in notes])[which], 5)
    high = _smooth(
        (np.array([note.pitch for note in notes]) >= median + singer.falsetto)[which].astype(float), 5
    )
    gain += 14 * (velocity - 0.7) + _dynamics(since, which, len(notes), random)
    pitch, vibrato = _melody(notes, since, which, length, singer, random)
    if delivery in _FREE_PITCH:
        pitch = _speech_melody(length, velocity, singer, random)
    elif delivery == "screamed":
        pitch = median + 0.4 * (pitch - median) + random.choice([-12, 0, 5]) + _wander(length, 0.1, random)
    frames = Frames(
        envelopes=envelopes,
        pitch=np.clip(pitch, 28, 100).astype(np.float32),
        voiced=voiced,
        gain=np.maximum(gain + random.uniform(0, 2) * vibrato, SILENCE).astype(np.float32),
        effort=(effort + 4 * (velocity - 0.7) - 3.5 * high).astype(np.float32),
        breath=(0.3 * high + 0.1 * np.maximum(0.5 - velocity, 0)).astype(np.float32),
        jaw=np.clip(0.5 * _wander(length, 0.3, random), -1, 1).astype(np.float32),
        rough=np.clip(0.6 + 0.6 * _wander(length, 0.4, random) + (velocity - 0.7), 0, 1).astype(np.float32),
    )
    return origin, frames


def breathe(singer: Singer, speaker: Speaker, seconds: float, random: np.random.Generator) -> Frames:
    """A breath: aspirate noise that swells."""
    length = to_frame(seconds)
    aspirates = speaker.runs("hh")
    aspirates = aspirates if len(aspirates) else speaker.runs(*HISSES)
    start, end = random.choice(aspirates[: max(1, len(aspirates) // 2)])
    envelopes, _ = _read(speaker, np.linspace(start, end - 1, length))
    swell = np.sin(np.pi * np.linspace(0, 1, length) ** random.uniform(0.7, 2.0))
    loud = random.uniform(-32, -18) - _level(envelopes)
    zeros = np.zeros(length, np.float32)
    gain = (loud + 20 * np.log10(swell + 1e-4)).astype(np.float32)
    return Frames(envelopes, zeros + 60, zeros, gain, zeros, zeros, zeros, zeros)


def _set_to_notes(
    notes: Sequence[Note], singer: Singer, text: Iterator[Syllable], random: np.random.Generator
) -> list[_Group]:
    chance = 0.6 if singer.delivery in _HELD else 0.0 if singer.delivery in _FREE_PITCH else singer.melisma
    groups: list[_Group] = []
    for index, note in enumerate(notes):
        start = to_frame(note.start + singer.lateness)
        end = max(start + 6, to_frame(note.start + singer.lateness + note.duration))
        if groups:
            start = max(start, groups[-1].starts[-1] + 6)
            joined = note.start - notes[index - 1].start - notes[index - 1].duration < 0.06
            if joined and random.random() < chance:
                groups[-1] = _Group(groups[-1].syllable, (*groups[-1].starts, start), max(end, start + 6))
                continue
        groups.append(_Group(next(text), (start,), max(end, start + 6)))
    return groups


def _sing(
    groups: Sequence[_Group], length: int, speaker: Speaker, delivery: Delivery, random: np.random.Generator
) -> tuple[Array, Array]:
    """Frames of the speaker to read at each time, and the gain that makes vowels equally loud."""
    source = np.zeros(length)
    gain = np.full(length, SILENCE)
    onset = int(groups[0].syllable[1] - groups[0].syllable[0])
    for index, group in enumerate(groups):
        start = group.starts[0]
        begin, vowel, vowel_end, finish = (int(place) for place in group.syllable)
        coda = finish - vowel_end
        onset_after = 0
        end = group.end
        if index + 1 < len(groups):
            after = groups[index + 1]
            onset_after = int(after.syllable[1] - after.syllable[0])
            room = after.starts[0] - start
            squeeze = min(1.0, 0.55 * room / max(coda + onset_after, 1))
            coda, onset_after = int(coda * squeeze), int(onset_after * squeeze)
            last = after.starts[0] - onset_after - coda
            legato = after.starts[0] - group.end < 0.12 * FRAMES_PER_SECOND
            end = last if legato else min(end, last)
        if delivery in _FREE_PITCH:
            end = min(end, start + 2 * (vowel_end - vowel))
        source[start - onset : start] = np.linspace(begin, vowel, onset, endpoint=False)
        source[start:end] = _stretch(vowel, vowel_end, end - start)
        source[end : end + coda] = np.linspace(vowel_end, finish, coda, endpoint=False)
        gain[start - onset : end + coda] = -0.85 * _level(speaker.envelopes[vowel:vowel_end])
        onset = onset_after
    return _release(source, gain, random)


def _release(source: Array, gain: Array, random: np.random.Generator) -> tuple[Array, Array]:
    """Every end of sound held on while it dies away."""
    frames = np.arange(len(gain))
    last = np.maximum.accumulate(np.where(gain > SILENCE, frames, 0))
    fall = 60 / (random.uniform(0.06, _TAIL) * FRAMES_PER_SECOND)
    falling = gain[last] - fall * (frames - last)
    return source[last], _smooth(np.where(falling > -60, falling, SILENCE), 3)


def _stretch(start: int, end: int, length: int) -> NDArray[np.float64]:
    """A vowel's frames over `length`: its beginning and end as they were, held shortly before the middle."""
    natural = end - start
    if length <= natural:
        return np.linspace(start, end, length, endpoint=False)
    head, tail = round(0.4 * natural), round(0.5 * natural)
    middle = np.linspace(start + head, end - tail, length - head - tail, endpoint=False)
    return np.concatenate([start + np.arange(head), middle, end - tail + np.arange(tail)])


def _speak(
    groups: Sequence[_Group], length: int, speaker: Speaker, random: np.random.Generator
) -> tuple[Array, Array]:
    """Speech as it was, from the first syllable on, over the phrase's time; pauses are silent."""
    source = groups[0].syllable[0] + np.arange(length) * random.uniform(0.85, 1.2)
    source = np.minimum(source, len(speaker.phones) - 1)
    gain = np.where(speaker.phones[source.astype(np.int64)] > 0, -3.0, SILENCE)
    gain[-to_frame(_TAIL) :] = SILENCE
    return source, _smooth(gain, 5)


def _read(speaker: Speaker, source: NDArray[np.float64]) -> tuple[Array, Array]:
    """The envelopes between frames, and how voiced they are."""
    low = np.minimum(source.astype(np.int64), len(speaker.voiced) - 2)
    part = (source - low).astype(np.float32)[:, None]
    envelopes = speaker.envelopes[low].astype(np.float32)
    envelopes += part * (speaker.envelopes[low + 1].astype(np.float32) - envelopes)
    return envelopes, _smooth(speaker.voiced[low].astype(np.float32), 3).astype(np.float32)


def _melody(
    notes: Sequence[Note],
    since: Array,
    which: NDArray[np.int64],
    length: int,
    singer: Singer,
    random: np.random.Generator,
) -> tuple[Array, Array]:
    """Pitch, and the vibrato's swing −1…1 for the loudness that goes with it."""
    written = np.array([note.pitch for note in notes]) + singer.intonation * random.standard_normal(
        len(notes)
    )
    steps = written[which]
    early = round(1.3 * singer.damping / singer.glide * FRAMES_PER_SECOND)  # about the system's delay
    steps = np.append(steps[early:], np.full(early, steps[-1]))
    rate = singer.glide
    b, a = signal.bilinear([rate**2], [1, 2 * singer.damping * rate, rate**2], FRAMES_PER_SECOND)
    smooth, _ = signal.lfilter(b, a, steps, zi=signal.lfilter_zi(b, a) * steps[0])
    seconds = since / FRAMES_PER_SECOND
    depth = random.uniform(0.5, 1.2, len(notes))[which] * np.clip(
        (seconds - singer.vibrato_delay) / 0.35, 0, 1
    )
    turns = np.cumsum(singer.vibrato_rate * (1 + 0.06 * _wander(length, 0.4, random))) / FRAMES_PER_SECOND
    swing = depth * np.sin(2 * np.pi * (turns + random.random()))
    scoops = singer.scoop * random.random(len(notes)) * (random.random(len(notes)) < 0.25)
    scoops[0] = singer.scoop * random.random()
    pitch = smooth + singer.vibrato_depth * swing - scoops[which] * np.exp(-np.maximum(seconds, 0) / 0.07)
    pitch += singer.jitter * (_wander(length, 0.02, random) + 0.7 * _wander(length, 0.5, random))
    if random.random() < singer.fall:
        tail = np.linspace(0, 1, min(length, to_frame(random.uniform(0.15, 0.3))))
        pitch[-len(tail) :] -= random.uniform(2, 7) * tail**2
    return pitch, swing


def _speech_melody(length: int, velocity: Array, singer: Singer, random: np.random.Generator) -> Array:
    base = (random.uniform(54, 62) if is_female(singer.speaker) else random.uniform(42, 53)) / singer.size
    falling = -random.uniform(0, 4) * np.linspace(0, 1, length)
    return base + falling + 10 * (velocity - 0.7) + random.uniform(0.7, 2.5) * _wander(length, 0.15, random)


def _dynamics(since: Array, which: NDArray[np.int64], notes: int, random: np.random.Generator) -> Array:
    """Attack and swell of each note, dB."""
    seconds = np.maximum(since, 0) / FRAMES_PER_SECOND
    attack = random.uniform(0, 6, notes)[which] * np.exp(-seconds / 0.05)
    slope = random.normal(-1.5, 3.0, notes)[which]
    return np.clip(slope * seconds, -8, 4) - attack


def _clock(starts: Sequence[int], length: int) -> tuple[Array, NDArray[np.int64]]:
    """Frames since the current note's start (negative before the first) and its number."""
    frames = np.arange(length)
    which = np.maximum(np.searchsorted(starts, frames, side="right") - 1, 0)
    return frames - np.array(starts)[which], which


def _level(envelopes: Array) -> float:
    return float(10 * np.log10(np.mean(10 ** (envelopes.astype(np.float32) / 10)) + 1e-9))


def _smooth(values: NDArray, frames: int) -> NDArray[np.float64]:
    """Mean over an odd number of frames."""
    padded = np.pad(np.asarray(values, np.float64), frames // 2, mode="edge")
    return np.convolve(padded, np.full(frames, 1 / frames), mode="valid")


def _wander(length: int, seconds: float, random: np.random.Generator) -> NDArray[np.float64]:
    """Noise that takes about this long to change, standard deviation about 1."""
    step = max(seconds * FRAMES_PER_SECOND, 1.0)
    points = random.standard_normal(int(length / step) + 3)
    return np.interp(np.arange(length) / step + random.random(), np.arange(len(points)), points) * 1.2
