"""Pitch classes, bass and chords of a song as they look from each tonic, which tell its key."""

import numpy as np

from stemsplitter.analysis.pitches import Classes

_POOL = 4  # frames, 0.4 s
_INAUDIBLE = 1.0  # mean strength of a frame: a chord at -98 dBFS, or the two edges of a constant
_SHARPNESS = 12.0  # of the choice between chords
_QUIET_BASS = 0.02  # of a loud moment, below which the bass counts less


def pooled(frames: Classes, bass: Classes) -> Classes:
    """Return the strengths of the pitch classes, then those of the bass, in each 0.4 s ``[T, 24]``.

    ``frames`` and ``bass`` are those of :class:`~stemsplitter.analysis.pitches.Pitches`, ``[t, 12]`` each. The
    median of the strength of a frame is 1. All are 0 if nothing can be heard.
    """
    both = np.concatenate([frames, bass], axis=1)
    if not len(both):
        return both
    strengths = frames.sum(axis=1)
    if strengths.mean() < _INAUDIBLE:
        return np.zeros_like(both[::_POOL])
    loud = np.median(strengths) + 1e-9
    return np.asarray(np.add.reduceat(both / loud, np.arange(0, len(both), _POOL), axis=0) / _POOL)


def features(classes: Classes) -> Classes:
    """Return what :func:`pooled` strengths look like from each tonic ``[12, 48]``.

    From the tonic on: the means of the pitch classes and of the bass, and how long each major and each minor triad
    sounds. A transposed song has the same rows in another order.
    """
    strengths, bass = classes[:, :12], classes[:, 12:]
    total = strengths.sum(axis=1, keepdims=True)
    # quiet moments count less; loud ones do not count more
    loudness = np.minimum(1, total / (np.median(total) + 1e-9))
    weight = loudness / (loudness.sum() + 1e-9)
    shares = strengths / (total + 1e-9)
    bass = bass / (bass.sum(axis=1, keepdims=True) + _QUIET_BASS)
    means, bass_means = (shares * weight).sum(axis=0), (bass * weight).sum(axis=0)
    chords = np.tensordot(weight[:, 0], _chords(shares * loudness), 1)
    # the root evens out long and short chords; all are about 1
    seen = np.stack([12 * means, 12 * bass_means, *(3 * np.sqrt(chords))])
    return np.stack([np.roll(seen, -tonic, axis=1).ravel() for tonic in range(12)])


def _chords(shares: Classes) -> Classes:
    """Return the probabilities of the major and minor triads in each moment ``[T, 2, 12]``, from their root."""
    padded = np.pad(shares, ((1, 1), (0, 0)))
    smooth = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    centered = smooth - smooth.mean(axis=1, keepdims=True)
    centered /= np.linalg.norm(centered, axis=1, keepdims=True) + 1e-9
    likeness = _SHARPNESS * (centered @ _TRIADS.T)
    likely = np.exp(likeness - likeness.max(axis=1, keepdims=True))
    return np.asarray((likely / likely.sum(axis=1, keepdims=True)).reshape(len(shares), 2, 12))


def _triads() -> Classes:
    """Return centered unit vectors ``[24, 12]``: the major, then the minor triads on C to B."""
    tones = np.zeros((24, 12))
    for number in range(24):
        third = 4 if number < 12 else 3
        tones[number, [number % 12, (number + third) % 12, (number + 7) % 12]] = 1
    tones -= tones.mean(axis=1, keepdims=True)
    return np.asarray(tones / np.linalg.norm(tones, axis=1, keepdims=True))


_TRIADS = _triads()
