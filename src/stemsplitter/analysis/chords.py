"""Chords of a song: major and minor triads at the beats."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stemsplitter.analysis.keys import Key
from stemsplitter.analysis.pitches import Classes

# weights of root, third and fifth; a chord's notes are not equally strong
_TRIADS = {"major": ((0, 1.0), (4, 0.8), (7, 0.9)), "minor": ((0, 1.0), (3, 0.8), (7, 0.9))}
_NONE = 0.3  # correlation that a triad must exceed where there is none
_SHARPNESS = 20.0  # of the likelihood, per unit of correlation
_STAY = 0.6  # probability that a chord lasts over a beat
_OF_KEY = 0.15  # correlation that a triad of the key gains
_POWER = 1.5  # of the strengths, against overtones
_WITHOUT_BEATS_S = 0.5
_QUIET = 0.02  # of the median strength; what is below has no chord


@dataclass(frozen=True)
class Chord:
    """A triad from ``start`` to ``end`` in seconds. ``triad`` has the root as its tonic."""

    start: float
    end: float
    triad: Key

    @property
    def name(self) -> str:
        """The name: ``F#m``, ``C``."""
        return self.triad.short


_STATES = tuple(Key(root, mode) for mode in _TRIADS for root in range(12))


def estimate_chords(
    frames: Classes, frames_per_second: float, beats: Sequence[float], seconds: float, key: Key | None = None
) -> tuple[Chord, ...]:
    """Estimate the chords of a song; where there is none, there is a gap.

    The pitch classes of each beat are compared with the templates of 24 triads (Fujishima, "Realtime chord recognition
    of musical sound", ICMC 1999), beat by beat (Bello and Pickens, "A robust mid-level representation for harmonic
    content in music signals", ISMIR 2005). The likeliest sequence is found with the Viterbi algorithm (Sheh and Ellis,
    "Chord segmentation and recognition using EM-trained hidden Markov models", ISMIR 2003), in which the triads of the
    key are likelier (Lee and Slaney, "Acoustic chord transcription and key extraction from audio using key-dependent
    HMMs trained on synthesized audio", IEEE TASLP 16(2), 2008).

    Args:
        frames: strengths of C to B of harmonic instruments, without drums and vocals, ``[T, 12]``.
        beats: their times in seconds; without any, chords change at multiples of half a second.
        seconds: length of the song.
        key: of the song, if it is known.
    """
    edges = _edges(beats, seconds)
    if not len(frames) or len(edges) < 2 or not frames.any():
        return ()
    classes = _of_segments(frames**_POWER, np.rint(edges * frames_per_second).astype(np.intp))
    states = _likeliest(_correlations(classes) + _OF_KEY * _of_key(key))
    chords: list[Chord] = []
    for number, state in enumerate(states):
        start, end = float(edges[number]), float(edges[number + 1])
        if state == len(_STATES):
            continue
        if chords and chords[-1].end == start and chords[-1].triad == _STATES[state]:
            chords[-1] = Chord(chords[-1].start, end, _STATES[state])
        else:
            chords.append(Chord(start, end, _STATES[state]))
    return tuple(chords)


def _edges(beats: Sequence[float], seconds: float) -> npt.NDArray[np.float64]:
    """Return the times at which a chord may change, and those of start and end."""
    if len(beats) < 2:
        inner = np.arange(_WITHOUT_BEATS_S, seconds, _WITHOUT_BEATS_S)
    else:
        period = (beats[-1] - beats[0]) / (len(beats) - 1)
        before = np.arange(beats[0] - period, 0, -period)[::-1]
        after = np.arange(beats[-1] + period, seconds, period)
        inner = np.concatenate([before, beats, after])
    inner = inner[(inner > 0.05) & (inner < seconds - 0.05)]
    return np.concatenate([[0.0], inner, [seconds]])


def _of_segments(frames: Classes, edges: npt.NDArray[np.intp]) -> Classes:
    """Return the mean strengths between the edges ``[N, 12]``."""
    edges = np.minimum(edges, len(frames))
    sums = np.concatenate([np.zeros((1, 12)), np.cumsum(frames, axis=0, dtype=np.float64)])
    counts = np.maximum(np.diff(edges), 1)
    return np.asarray(np.diff(sums[edges], axis=0) / counts[:, None])


def _correlations(classes: Classes) -> npt.NDArray[np.float64]:
    """Return the correlation of each segment with each state ``[N, 25]``; the last is that of no chord."""
    templates = np.zeros((len(_STATES), 12))
    for row, state in zip(templates, _STATES, strict=True):
        for interval, weight in _TRIADS[state.mode]:
            row[(state.tonic + interval) % 12] = weight
    found = _unit(classes) @ _unit(templates).T
    none = np.full((len(classes), 1), _NONE)
    total = classes.sum(axis=1)
    heard = total[total > 0]
    none[total <= (_QUIET * np.median(heard) if len(heard) else 0)] = 1.0
    return np.concatenate([found, none], axis=1)


def _of_key(key: Key | None) -> npt.NDArray[np.float64]:
    """Return 1 for each state that is a triad of the key, or the major dominant of a minor key, else 0."""
    if key is None:
        return np.zeros(len(_STATES) + 1)
    major = key.tonic if key.mode == "major" else key.tonic + 3
    triads = {Key((major + step) % 12, "major") for step in (0, 5, 7)}
    triads |= {Key((major + step) % 12, "minor") for step in (2, 4, 9)}
    if key.mode == "minor":
        triads.add(Key((key.tonic + 7) % 12, "major"))
    return np.array([float(state in triads) for state in (*_STATES, None)])


def _unit(rows: Classes) -> Classes:
    centered = rows - rows.mean(axis=1, keepdims=True)
    return np.asarray(centered / (np.linalg.norm(centered, axis=1, keepdims=True) + 1e-12))


def _likeliest(correlations: npt.NDArray[np.float64]) -> list[int]:
    """Return the likeliest state of each segment."""
    count, states = correlations.shape
    scores = _SHARPNESS * correlations
    transition = np.full((states, states), np.log((1 - _STAY) / (states - 1)))
    np.fill_diagonal(transition, np.log(_STAY))
    best = scores[0]
    before = np.zeros((count, states), np.intp)
    for number in range(1, count):
        reached = best[:, None] + transition
        before[number] = reached.argmax(axis=0)
        best = reached.max(axis=0) + scores[number]
    path = [int(best.argmax())]
    for number in range(count - 1, 0, -1):
        path.append(int(before[number, path[-1]]))
    return path[::-1]
