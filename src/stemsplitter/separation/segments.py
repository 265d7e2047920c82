"""Segmentation and overlap-add of a stream.

Both hold the audio of one segment, however long the song is. Segments start every ``hop`` samples. A shorter last
segment is centered in the audio before it, as in demucs, so that the network gets as little padding as possible.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Waveform = NDArray[np.float32]


@dataclass(frozen=True)
class Segment:
    """``length`` samples of the song from sample ``start``, at ``offset`` in ``audio`` ``[C, segment]``."""

    start: int
    length: int
    offset: int
    audio: Waveform


class Segmenter:
    """Cuts blocks ``[C, n]`` of any length into segments of ``segment`` samples, one every ``hop``."""

    def __init__(self, channels: int, segment: int, hop: int) -> None:
        self._segment, self._hop = segment, hop
        self._held = np.zeros((channels, 0), np.float32)
        self._held_from = 0  # sample of the song at the start of self._held
        self._start = 0  # sample of the song at the start of the next segment
        self._end = 0  # samples of the song pushed

    def push(self, block: Waveform) -> Iterator[Segment]:
        """Add the next block and yield the segments that are complete."""
        self._held = np.concatenate((self._held, block), axis=1)
        self._end += block.shape[1]
        while self._start + self._segment <= self._end:
            yield self._cut(self._segment)

    def flush(self) -> Iterator[Segment]:
        """End the song and yield the rest: up to ``segment / hop`` shorter segments."""
        while self._start < self._end:
            yield self._cut(self._end - self._start)

    def _cut(self, length: int) -> Segment:
        offset = (self._segment - length) // 2
        audio = np.zeros((len(self._held), self._segment), np.float32)
        first = self._start - offset  # sample of the song at audio[:, 0], negative before the song
        source = slice(max(first, 0) - self._held_from, self._start + length - self._held_from)
        into = max(-first, 0)
        audio[:, into : into + source.stop - source.start] = self._held[:, source]
        segment = Segment(self._start, length, offset, audio)
        self._start += self._hop
        # the last segment can use half a segment of audio before it
        keep_from = max(self._start - self._segment // 2, self._held_from)
        self._held = self._held[:, keep_from - self._held_from :].copy()
        self._held_from = keep_from
        return segment


class OverlapAdd:
    """Weighted overlap-add of the stems of segments, in order."""

    def __init__(self, window: Waveform, hop: int) -> None:
        """Start a song; ``window`` is the positive weight of each sample of a segment, ``[segment]``."""
        self._window, self._hop = window, hop
        self._sum: NDArray[np.float32] | None = None
        self._weight = np.zeros(len(window), np.float32)

    def add(self, segment: Segment, stems: NDArray[np.float32]) -> NDArray[np.float32]:
        """Add the stems ``[S, C, segment]`` of a segment; return the samples that are finished, ``[S, C, n]``."""
        length = segment.length
        window = self._window[:length]
        if self._sum is None:
            self._sum = np.zeros((*stems.shape[:2], len(self._window)), np.float32)
        self._sum[..., :length] += stems[..., segment.offset : segment.offset + length] * window
        self._weight[:length] += window
        return self._shift(min(self._hop, len(self._window)))

    def flush(self) -> NDArray[np.float32]:
        """Return the rest, ``[S, C, n]``, after the last segment."""
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
    """Return the triangular window of demucs, ``[length]``: positive, with a maximum of 1 in the middle."""
    rise = np.arange(1, length // 2 + 1)
    window: Waveform = np.concatenate((rise, np.arange(length - length // 2, 0, -1))).astype(np.float32)
    window /= window.max()
    return window
