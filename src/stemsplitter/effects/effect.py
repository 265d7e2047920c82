"""The interface of an effect."""

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]


class Effect(Protocol):
    """Transforms a stream of blocks. The size of the blocks does not affect the result."""

    def process(self, block: Samples) -> Samples:
        """Take float32 ``[C, n]`` and return the samples that are finished, ``[C, m]``; m may be 0."""

    def flush(self) -> Samples:
        """End the stream and return its remaining samples."""


def apply(effect: Effect, blocks: Iterable[Samples]) -> Iterator[Samples]:
    """Yield the blocks of a whole stream after an effect."""
    for block in blocks:
        yield effect.process(block)
    yield effect.flush()
