"""The interface of a model: a network with the transforms from waveforms to its input and from its output to stems."""

from typing import Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray


class SegmentModel(Protocol):
    """Separates segments of stereo audio of one fixed length.

    Attributes:
        stems: names in the order of the output (S of them).
        sample_rate: hertz.
        segment: samples in a segment.
        hop: samples from the start of a segment to the start of the next.
        reflect: the song is reflected at both ends by the overlap of two segments; otherwise silence surrounds it.
        window: weight of each sample of a segment in the overlap-add, ``[segment]``.
        concurrency: number of segments that can be processed at the same time.
        device: name of the device in use.
        notes: sentences about the loaded model that users should read.
    """

    stems: tuple[str, ...]
    sample_rate: int
    segment: int
    hop: int
    reflect: bool
    window: NDArray[np.float32]
    concurrency: int
    device: str
    notes: tuple[str, ...]

    def separate(self, mixture: NDArray[np.float32]) -> NDArray[np.float32]:
        """Separate ``[2, segment]`` into ``[S, 2, segment]``; up to ``concurrency`` threads may call it at once."""


@runtime_checkable
class InstrumentsModel(SegmentModel, Protocol):
    """A model whose estimate improves if it knows which instruments a song has."""

    def for_instruments(self, instruments: tuple[str, ...]) -> Self:
        """Return a model for songs with these of the six stems only; it shares the loaded network."""
