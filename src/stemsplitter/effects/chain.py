"""Effects one after the other."""

import numpy as np

from stemsplitter.effects.effect import Effect, Samples


class Chain:
    """Applies effects in order."""

    def __init__(self, *effects: Effect) -> None:
        self._effects = effects

    def process(self, block: Samples) -> Samples:
        """Take float32 ``[C, n]`` and return the samples that are finished, ``[C, m]``."""
        for effect in self._effects:
            block = effect.process(block)
        return block

    def flush(self) -> Samples:
        """End the stream and return its remaining samples."""
        first, *others = self._effects
        rest = first.flush()
        for effect in others:
            rest = np.concatenate([effect.process(rest), effect.flush()], axis=1)
        return rest
