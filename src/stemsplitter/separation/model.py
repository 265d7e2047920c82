"""Models: a network with all that turns audio into its input and its output into stems."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class SegmentModel(Protocol):
    """Separates segments of stereo audio of one fixed length.

    Attributes:
        stems: names in the order of the output.
        sample_rate: hertz.
        segment: samples in a segment.
        hop: samples from the start of a segment to that of the next.
        window: weight of each sample of a segment in the overlap-add, ``[segment]``.
        concurrency: how many segments it works on at a time.
        device: what it really runs on, in words.
        notes: what a user should know of this model as it was loaded, each a sentence.
    """

    stems: tuple[str, ...]
    sample_rate: int
    segment: int
    hop: int
    window: NDArray[np.float32]
    concurrency: int
    device: str
    notes: tuple[str, ...]

    def separate(self, mixture: NDArray[np.float32]) -> NDArray[np.float32]:
        """From ``[2, segment]`` to ``[S, 2, segment]``; may be called from ``concurrency`` threads at once."""
