"""Segmentation and overlap-add of a stream.

Both hold the audio of one segment, however long the song is. Segments start every ``hop`` samples. A shorter last
segment is centered in the audio before it, as in demucs, so that the network gets as little padding as possible. With
a border, the song is reflected at both ends instead, as in Music-Source-Separation-Training (MSST).
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
    """Cuts blocks ``[C, n]`` of any length into segments of ``segment`` samples, one every ``hop``.

    With a ``border`` the first segment starts that many samples before the song.
    """

    def __init__(self, channels: int, segment: int, hop: int, border: int = 0) -> None:
        self._segment, self._hop, self._border = segment, hop, border
        self._held = np.zeros((channels, 0), np.float32)
        self._pushed: list[Waveform] = []  # blocks after it, joined with it once they complete a segment
        self._held_from = 0  # sample of the song at the start of self._held
        self._start = -border  # sample of the song at the start of the next segment
        self._end = 0  # samples of the song pushed

    def push(self, block: Waveform) -> Iterator[Segment]:
        """Add the next block and yield the segments that are complete."""
        self._pushed.append(block)
        self._end += block.shape[1]
        if self._end < max(self._start + self._segment, self._border + 1):
            return
        self._join()
        self._reflect_start()
        while self._start + self._segment <= self._end:
            yield self._cut(self._segment)

    def flush(self) -> Iterator[Segment]:
        """End the song and yield the rest: up to ``segment / hop`` shorter segments."""
        self._join()
        if self._border and self._end:
            self._reflect_start()
            self._held = np.pad(self._held, ((0, 0), (0, self._border)), mode="reflect")
        while self._start < self._end:
            yield self._cut(min(self._end - self._start, self._segment))

    def _join(self) -> None:
        self._held = np.concatenate((self._held, *self._pushed), axis=1)
        self._pushed.clear()

    def _reflect_start(self) -> None:
        """Put the border before the song, once."""
        if self._held_from == 0 and self._start < 0:
            self._held = np.pad(self._held, ((0, 0), (self._border, 0)), mode="reflect")
            self._held_from = -self._border

    def _cut(self, length: int) -> Segment:
        if self._border:
            offset, audio = 0, self._reflected()
        else:
            offset = (self._segment - length) // 2
            audio = self._centered(length, offset)
        segment = Segment(self._start, length, offset, audio)
        self._start += self._hop
        # the last segment needs audio before it, to be centered in or to reflect
        keep_from = max(self._start - max(self._segment // 2, self._border) - 1, self._held_from)
        self._held = self._held[:, keep_from - self._held_from :].copy()
        self._held_from = keep_from
        return segment

    def _centered(self, length: int, offset: int) -> Waveform:
        audio = np.zeros((len(self._held), self._segment), np.float32)
        first = self._start - offset  # sample of the song at audio[:, 0], negative before the song
        source = slice(max(first, 0) - self._held_from, self._start + length - self._held_from)
        into = max(-first, 0)
        audio[:, into : into + source.stop - source.start] = self._held[:, source]
        return audio

    def _reflected(self) -> Waveform:
        """Return a segment, reflected at its end if more than half of it is there, else padded with silence."""
        begin = self._start - self._held_from
        audio = self._held[:, begin : begin + self._segment]
        missing = ((0, 0), (0, self._segment - audio.shape[1]))
        padded: Waveform = np.pad(
            audio, missing, mode="reflect" if audio.shape[1] > self._segment // 2 else "constant"
        )
        return padded


class OverlapAdd:
    """Weighted overlap-add of the stems of segments, in order.

    It holds what overlaps with the next segment only: a sample in one segment is that of the segment.
    """

    def __init__(self, window: Waveform, hop: int, border: int = 0) -> None:
        """Start a song; ``window`` is the weight of each sample of a segment, ``[segment]``."""
        self._window, self._hop = window, hop
        self._before = border  # samples before the song that are still to be dropped
        self._held: NDArray[np.float32] | None = None  # weighted sums of the samples in the next segment
        self._weight = np.zeros(0, np.float32)  # of each held sample

    def add(self, segment: Segment, stems: NDArray[np.float32]) -> NDArray[np.float32]:
        """Add the stems ``[S, C, segment]`` of a segment; return the finished samples, ``[S, C, n]``.

        The stems are changed, and the result may be a part of them.
        """
        own = stems[..., segment.offset : segment.offset + segment.length]
        window = self._window[: segment.length]
        done, held = min(self._hop, segment.length), len(self._weight)
        if self._held is not None and held:
            own[..., :held] *= window[:held]
            own[..., :held] += self._held
            self._weight += window[:held]
            finished = min(done, held)
            own[..., :finished] /= _divisor(self._weight[:finished])
        single = max(done, held)  # samples from here on are in no earlier segment, and in the next one
        self._held = own[..., done:].copy()
        self._held[..., single - done :] *= window[single:]
        self._weight = np.concatenate((self._weight[done:], window[single:]))
        return self._dropped(own[..., :done])

    def flush(self) -> NDArray[np.float32]:
        """Return the rest, ``[S, C, n]``, after the last segment."""
        if self._held is None:
            return np.zeros((0, 0, 0), np.float32)
        rest = self._held / _divisor(self._weight)
        self._held, self._weight = self._held[..., :0], self._weight[:0]
        return self._dropped(rest)

    def _dropped(self, stems: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return stems without those samples that are before the song."""
        dropped = min(self._before, stems.shape[-1])
        self._before -= dropped
        return stems[..., dropped:]


def _divisor(weight: Waveform) -> Waveform:
    """Return the weight that a weighted sum is divided by: 1 where it is 0, as is the sum there."""
    return np.where(weight == 0, np.float32(1), weight)


def triangle(length: int) -> Waveform:
    """Return the triangular window of demucs, ``[length]``: positive, with a maximum of 1 in the middle."""
    rise = np.arange(1, length // 2 + 1)
    window: Waveform = np.concatenate((rise, np.arange(length - length // 2, 0, -1))).astype(np.float32)
    window /= window.max()
    return window


def trapezoid(length: int) -> Waveform:
    """Return the window of MSST, ``[length]``: 1, with a linear fade from and to 0 in the first and the last tenth."""
    fade = np.linspace(0, 1, length // 10).astype(np.float32)
    window: Waveform = np.ones(length, np.float32)
    window[: len(fade)], window[length - len(fade) :] = fade, fade[::-1]
    return window
