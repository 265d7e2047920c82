"""Separation of what the stems of another model leave of a song, by any network that estimates some of it."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from stemsplitter.separation.model import SegmentModel
from stemsplitter.separation.segments import OverlapAdd, Segment, Segmenter

Waveform = NDArray[np.float32]


class RestStream(ABC):
    """Separates what given stems leave of a song, in blocks of any length at the model's sample rate.

    Memory does not depend on the length of the song, and the output lags by up to a segment.

    Attributes:
        stems: names in the order of the output (S of them).
    """

    stems: tuple[str, ...]
    _segmenter: Segmenter  # of what :meth:`_input` returns
    _overlap_add: OverlapAdd

    @abstractmethod
    def _input(self, mixture: Waveform, given: Waveform) -> Waveform:
        """Return the channels to cut into segments, ``[C, n]``, of a block ``[2, n]`` and its stems ``[G, 2, n]``."""

    @abstractmethod
    def _separate(self, audio: Waveform) -> Waveform:
        """Separate a segment ``[C, segment]`` into ``[S, 2, segment]``."""

    def push(self, mixture: Waveform, given: Waveform) -> Iterator[Waveform]:
        """Add a block of the mixture ``[2, n]`` and of the given stems ``[G, 2, n]``; yield blocks ``[S, 2, m]``."""
        for segment in self._segmenter.push(self._input(mixture, given)):
            yield self._add(segment)

    def flush(self) -> Iterator[Waveform]:
        """End the song and yield the rest, ``[S, 2, m]``."""
        for segment in self._segmenter.flush():
            yield self._add(segment)
        yield self._overlap_add.flush()

    def _add(self, segment: Segment) -> Waveform:
        return self._overlap_add.add(segment, self._separate(segment.audio))


class NetworkRest(RestStream):
    """Separates the mixture without the given stems.

    The stems and the given stems sum to the mixture if the model's stems sum to its input.

    Args:
        model: the model; its stems are those of the six stems that are not given.
        instruments: those of the six stems that the song has; the others are silent.
    """

    def __init__(self, model: SegmentModel, instruments: tuple[str, ...]) -> None:
        self.stems = model.stems
        self._model = model
        self._absent = [number for number, name in enumerate(model.stems) if name not in instruments]
        border = model.segment - model.hop if model.reflect else 0
        self._segmenter = Segmenter(2, model.segment, model.hop, border)
        self._overlap_add = OverlapAdd(model.window, model.hop, border)

    def _input(self, mixture: Waveform, given: Waveform) -> Waveform:
        rest: Waveform = mixture - given.sum(axis=0)
        return rest

    def _separate(self, audio: Waveform) -> Waveform:
        stems = self._model.separate(audio)
        stems[self._absent] = 0
        return stems
