"""A part of a song, exact to the sample."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from stemsplitter.errors import AudioError, RequestError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Samples = npt.NDArray[np.float32]

Seconds = float | Fraction


@dataclass(frozen=True)
class Excerpt:
    """Up to ``duration`` seconds of a song from ``start`` on; by default all of it.

    It starts at sample ``round(start × rate)`` and has ``round(duration × rate)`` samples, or fewer at the song's end.

    Raises:
        RequestError: ``start`` is negative, or ``duration`` is not positive.
    """

    start: Seconds = 0
    duration: Seconds | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.start < float("inf"):
            raise RequestError(f"An excerpt cannot start at {self.start} s: choose a start from 0 on.")
        if self.duration is not None and not 0 < self.duration < float("inf"):
            raise RequestError(f"An excerpt cannot last {self.duration} s: choose a duration above 0.")

    def seconds(self, song: float | None) -> float | None:
        """Return the length of the excerpt of a song of ``song`` seconds; None if it is unknown."""
        rest = None if song is None else max(song - float(self.start), 0.0)
        if self.duration is None:
            return rest
        return float(self.duration) if rest is None else min(rest, float(self.duration))

    def cut(self, blocks: "Iterable[Samples]", rate: int, name: str) -> "Iterator[Samples]":
        """Yield the excerpt of a song given as blocks ``[C, n]``; blocks after it are not read.

        Raises:
            AudioError: the song, called ``name`` in the message, ends before the excerpt.
        """
        skip = round(self.start * rate)
        left = None if self.duration is None else max(round(self.duration * rate), 1)
        is_empty = True
        for block in blocks:
            part = block[:, skip:]
            skip = max(skip - block.shape[1], 0)
            if left is not None:
                part = part[:, :left]
                left -= part.shape[1]
            if part.shape[1]:
                is_empty = False
                yield part
            if left == 0:
                return
        if is_empty and self.start:
            raise AudioError(f"{name} ends before {float(self.start):g} s: choose an earlier start.")
