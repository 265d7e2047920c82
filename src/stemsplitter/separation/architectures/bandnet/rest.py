"""Guitar, piano and other of what the stems of a better model leave of a song."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from stemsplitter.separation.architectures.bandnet.model import GIVEN, BandNetModel
from stemsplitter.separation.rest import RestStream
from stemsplitter.separation.segments import OverlapAdd, Segmenter

Waveform = NDArray[np.float32]


class RestSeparator(RestStream):
    """Separates what given stems leave of a song by the built-in network, which is given both.

    The given stems are kept as they are; the others and they sum to the mixture.

    Args:
        model: the model; of ``model.for_instruments(…)``, absent instruments are silent.
        given: names of the given stems, some of vocals, drums and bass, in the order of the blocks (G of them).
    """

    def __init__(self, model: BandNetModel, given: tuple[str, ...] = GIVEN) -> None:
        self.stems = tuple(stem for stem in model.stems if stem not in given)
        self._model, self._given = model, given
        self._segmenter = Segmenter(2 * (1 + len(given)), model.segment, model.hop)
        self._overlap_add = OverlapAdd(model.window, model.hop)

    def _input(self, mixture: Waveform, given: Waveform) -> Waveform:
        return np.concatenate((mixture[None], given)).reshape(-1, mixture.shape[1])

    def _separate(self, audio: Waveform) -> Waveform:
        mixture, *given = audio.reshape(-1, 2, audio.shape[1])
        stems = self._model.separate_rest(mixture, dict(zip(self._given, given, strict=True)))
        return np.stack([stems[name] for name in self.stems])


def separate_rest(
    model: BandNetModel, mixture: Waveform, given: Mapping[str, Waveform]
) -> dict[str, Waveform]:
    """Separate what given stems leave of a whole song, see :class:`RestSeparator`; all waveforms are ``[2, n]``."""
    separator = RestSeparator(model, tuple(given))
    pieces = [*separator.push(mixture, np.stack(list(given.values()))), *separator.flush()]
    whole = np.concatenate([piece for piece in pieces if piece.size], axis=-1)
    return dict(zip(separator.stems, whole, strict=True))
