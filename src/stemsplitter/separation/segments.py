"""Cutting a stream into overlapping segments for a network, and adding its answers up again.

Both sides are streams and hold one segment's worth of audio, however long the song is. Segments start every
``hop`` samples; a shorter last one is centred in real audio before it, as in demucs, so that the network never
sees more padding than it must.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Waveform = NDArray[np.float32]


@dataclass(frozen=True)
class Segment:
    """``length`` samples of the song from ``start`` on, found at ``offset`` in ``audio`` ``[C, segment]``."""

    start: int
    length: int
    offset: int
    audio: Waveform


class Segmenter:
    """Cut blocks ``[C, n]`` of any length into segments of ``segment`` samples, one every ``hop``."""

    def __init__(self, channels: int, segment: int, hop: int) -> None:
        self._segment, self._hop = segment, hop
        self._held = np.zeros((channels, 0), np.float32)
        self._held_from = 0  # sample of the song that self._held begins with
        self._start = 0  # where the next segment starts
        self._end = 0  # samples of the song seen

    def push(self, block: Waveform) -> Iterator[Segment]:
        """Take the next block; give the segments that are now complete."""
        self._held = np.concatenate((self._held, block), axis=1)
        self._end += block.shape[1]
        while self._start + self._segment <= self._end:
            yield self._take(self._segment)

    def flush(self) -> Iterator[Segment]:
        """The song ends here: give what is left, up to ``segment / hop`` shorter segments."""
        while self._start < self._end:
            yield self._take(self._end - self._start)

    def _take(self, length: int) -> Segment:
        offset = (self._segment - length) // 2
        audio = np.zeros((len(self._held), self._segment), np.float32)
        first = self._start - offset  # sample of the song at audio[:, 0], perhaps before its beginning
        source = slice(max(first, 0) - self._held_from, self._start + length - self._held_from)
        into = max(-first, 0)
        audio[:, into : into + source.stop - source.start] = self._held[:, source]
        segment = Segment(self._start, length, offset, audio)
        self._start += self._hop
        # the last segment may reach back half a segment for its context
        keep_from = max(self._start - self._segment // 2, self._held_from)
        self._held = self._held[:, keep_from - self._held_from :].copy()
        self._held_from = keep_from
        return segment


class OverlapAdd:
    """Weighted overlap-add of what a network made of the segments, in order."""

    def __init__(self, window: Waveform, hop: int) -> None:
        """``window`` is the weight of each sample of a segment, positive, ``[segment]``."""
        self._window, self._hop = window, hop
        self._sum: NDArray[np.float32] | None = None
        self._weight = np.zeros(len(window), np.float32)

    def add(self, segment: Segment, stems: NDArray[np.float32]) -> NDArray[np.float32]:
        """Add stems ``[S, C, segment]`` made of ``segment.audio``; return the finished ``[S, C, n]``.

        Call :meth:`flush` after the last segment for the rest.
        """
        length = segment.length
        window = self._window[:length]
        if self._sum is None:
            self._sum = np.zeros((*stems.shape[:2], len(self._window)), np.float32)
        self._sum[..., :length] += stems[..., segment.offset : segment.offset + length] * window
        self._weight[:length] += window
        return self._shift(min(self._hop, len(self._window)))

    def flush(self) -> NDArray[np.float32]:
        """Return what is still held, ``[S, C, n]``; nothing must be added after it."""
        if self._sum is None:
            return np.zeros((0, 0, 0), np.float32)
        return self._shift(int(np.count_nonzero(self._weight)))

    def _shift(self, count: int) -> NDArray[np.float32]:
        assert self._sum is not None
        count = min(count, int(np.count_nonzero(self._weight)))
        done = self._sum[..., :count] / self._weight[:count]
        self._sum[..., : -count or None] = self._sum[..., count:].copy()
        self._weight[: len(self._weight) - count] = self._weight[count:].copy()
        self._sum[..., len(self._weight) - count :] = 0
        self._weight[len(self._weight) - count :] = 0
        return done


def triangle(length: int) -> Waveform:
    """A window that rises linearly to the middle and falls again, never zero: demucs' cross-fade."""
    rise = np.arange(1, length // 2 + 1)
    window: Waveform = np.concatenate((rise, np.arange(length - length // 2, 0, -1))).astype(np.float32)
    window /= window.max()
    return window
