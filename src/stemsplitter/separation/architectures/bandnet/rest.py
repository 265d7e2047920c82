"""Guitar, piano and other of what the stems of a better model leave of a song."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from stemsplitter.separation.architectures.bandnet.model import GIVEN, BandNetModel
from stemsplitter.separation.segments import OverlapAdd, Segment, Segmenter

Waveform = NDArray[np.float32]


class RestSeparator:
    """Separates what given stems leave of a song, in blocks of any length at the model's sample rate.

    The given stems are kept as they are; the others and they sum to the mixture. Memory does not depend on the length
    of the song, and the output lags by up to a segment.

    Args:
        model: the model; of ``model.for_instruments(…)``, absent instruments are silent.
        given: names of the given stems, some of vocals, drums and bass, in the order of the blocks (G of them).

    Attributes:
        stems: names of the other stems, in the order of the output (S of them).
    """

    def __init__(self, model: BandNetModel, given: tuple[str, ...] = GIVEN) -> None:
        self.stems = tuple(stem for stem in model.stems if stem not in given)
        self._model, self._given = model, given
        self._segmenter = Segmenter(2 * (1 + len(given)), model.segment, model.hop)
        self._overlap_add = OverlapAdd(model.window, model.hop)

    def push(self, mixture: Waveform, given: Waveform) -> Iterator[Waveform]:
        """Add a block of the mixture ``[2, n]`` and of the given stems ``[G, 2, n]``; yield blocks ``[S, 2, m]``."""
        block = np.concatenate((mixture[None], given)).reshape(-1, mixture.shape[1])
        for segment in self._segmenter.push(block):
            yield self._add(segment)

    def flush(self) -> Iterator[Waveform]:
        """End the song and yield the rest, ``[S, 2, m]``."""
        for segment in self._segmenter.flush():
            yield self._add(segment)
        yield self._overlap_add.flush()

    def _add(self, segment: Segment) -> Waveform:
        mixture, *given = segment.audio.reshape(-1, 2, segment.audio.shape[1])
        stems = self._model.separate_rest(mixture, dict(zip(self._given, given, strict=True)))
        return self._overlap_add.add(segment, np.stack([stems[name] for name in self.stems]))


def separate_rest(
    model: BandNetModel, mixture: Waveform, given: Mapping[str, Waveform]
) -> dict[str, Waveform]:
    """Separate what given stems leave of a whole song, see :class:`RestSeparator`; all waveforms are ``[2, n]``."""
    separator = RestSeparator(model, tuple(given))
    pieces = [*separator.push(mixture, np.stack(list(given.values()))), *separator.flush()]
    whole = np.concatenate([piece for piece in pieces if piece.size], axis=-1)
    return dict(zip(separator.stems, whole, strict=True))
