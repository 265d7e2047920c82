"""A chain of two models: what the stems of the first leave of a song is separated by the second."""

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stemsplitter.audio.resample import Resampler
from stemsplitter.separation.architectures.bandnet.model import BandNetModel
from stemsplitter.separation.architectures.bandnet.rest import RestSeparator
from stemsplitter.separation.consistency import MixtureConsistency
from stemsplitter.separation.layouts import SIX_STEMS, rest_stem
from stemsplitter.separation.model import SegmentModel
from stemsplitter.separation.pipeline import Piece, separate_stream, stereo, take
from stemsplitter.separation.rest import NetworkRest

Waveform = NDArray[np.float32]

OTHER = "other"


@dataclass(frozen=True)
class Chain:
    """Two models.

    Attributes:
        first: separates the song into ``other`` and some of vocals, drums and bass.
        rest: separates that ``other``: the built-in network, or a model whose stems are those of ``other``.
        stems: names in the order of the output.
    """

    first: SegmentModel
    rest: SegmentModel
    stems: tuple[str, ...] = SIX_STEMS

    @property
    def sample_rate(self) -> int:
        """Hertz, of the first model."""
        return self.first.sample_rate

    @property
    def segment(self) -> int:
        """Samples in a segment of the first model."""
        return self.first.segment

    @property
    def device(self) -> str:
        """Name of the device in use."""
        return self.first.device

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about the first model that users should read."""
        return self.first.notes


def separate_chain(
    chain: Chain,
    blocks: Iterable[Waveform],
    sample_rate: int,
    channels: int,
    instruments: tuple[str, ...] = SIX_STEMS,
    *,
    overlap: float | None = None,
    shifts: int = 1,
) -> Generator[Piece, None, None]:
    """Separate a song as `pipeline.separate_stream` does; ``overlap`` and ``shifts`` are those of the first model.

    The stems of the first model other than ``other`` are returned unchanged. The output lags by up to a segment of each
    model.
    """
    song = _Song(chain, sample_rate, channels, instruments)
    stream = separate_stream(
        chain.first, blocks, sample_rate, channels, instruments, overlap=overlap, shifts=shifts
    )
    with closing(stream) as pieces:
        for piece in pieces:
            yield from song.add(piece)
    yield from song.finish()


class _Song:
    """The state of one song between the stems of the first model and those of the chain."""

    def __init__(self, chain: Chain, sample_rate: int, channels: int, instruments: tuple[str, ...]) -> None:
        model, first = chain.rest, chain.first.stems
        given = tuple(name for name in first if name != OTHER)
        self._separator = (
            RestSeparator(model.for_instruments(instruments), given)
            if isinstance(model, BandNetModel)
            else NetworkRest(model, instruments)
        )
        rest = self._separator.stems
        self._other, self._given = first.index(OTHER), [first.index(name) for name in given]
        self._order = [(*given, *rest).index(name) for name in chain.stems]
        self._channels = channels
        self._samples = 0
        self._residual = 0.0
        self._to_model = Resampler(sample_rate, model.sample_rate, (1 + len(given)) * channels)
        self._from_model = Resampler(model.sample_rate, sample_rate, len(rest) * channels)
        remainder = chain.stems[rest_stem(chain.stems, instruments)]
        self._consistency = MixtureConsistency(
            len(rest), channels, rest.index(remainder if remainder in rest else OTHER)
        )
        self._mixture: deque[Waveform] = deque()
        self._found: deque[Waveform] = deque()  # stems of the first model
        self._unsummed: deque[Waveform] = deque()  # those whose rest the consistency step holds

    def add(self, piece: Piece) -> Iterator[Piece]:
        stems = piece.stems
        self._mixture.append(piece.mixture)
        self._found.append(stems)
        self._samples += stems.shape[2]
        self._residual = max(self._residual, piece.residual)
        signals = np.concatenate((stems.sum(axis=0)[None], stems[self._given]))
        yield from self._push(self._to_model.push(signals.reshape(-1, stems.shape[2])))

    def finish(self) -> Iterator[Piece]:
        yield from self._push(self._to_model.flush())
        for rest in self._separator.flush():
            yield from self._convert(rest)
        yield from self._emit(self._from_model.flush(self._samples))
        yield from self._piece(self._consistency.flush())

    def _push(self, flat: Waveform) -> Iterator[Piece]:
        """Add the mixture and the given stems at the model's sample rate, ``[(1 + G) · C, n]``."""
        if not flat.size:
            return
        mixture, *given = (stereo(signal) for signal in flat.reshape(-1, self._channels, flat.shape[1]))
        for rest in self._separator.push(mixture, np.stack(given)):
            yield from self._convert(rest)

    def _convert(self, rest: Waveform) -> Iterator[Piece]:
        """Convert stems of the rest ``[S, 2, n]`` to the song's sample rate and channels."""
        if not rest.size:
            return
        flat = rest.mean(axis=1) if self._channels == 1 else rest.reshape(-1, rest.shape[2])
        yield from self._emit(self._from_model.push(flat))

    def _emit(self, flat: Waveform) -> Iterator[Piece]:
        if not flat.size:
            return
        rest = flat.reshape(-1, self._channels, flat.shape[1])
        found = take(self._found, rest.shape[2])
        self._unsummed.append(found)
        yield from self._piece(self._consistency.push(found[self._other], rest))

    def _piece(self, rest: Waveform) -> Iterator[Piece]:
        if not rest.shape[2]:
            return
        found = take(self._unsummed, rest.shape[2])
        residual = self._residual + float(np.abs(rest.sum(axis=0) - found[self._other]).max(initial=0))
        stems = np.concatenate((found[self._given], rest))[self._order]
        yield Piece(stems, take(self._mixture, rest.shape[2]), residual)
