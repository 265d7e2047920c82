"""The stream from mixture blocks to stem pieces: read-ahead, segments, overlap-add and mixture consistency.

The number of segments in flight is bounded, so memory does not depend on the length of the song. A separate thread
decodes blocks while the network runs.
"""

import queue
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from stemsplitter.audio.resample import Resampler
from stemsplitter.separation.consistency import MixtureConsistency
from stemsplitter.separation.layouts import SIX_STEMS, absent_stems, rest_stem
from stemsplitter.separation.model import InstrumentsModel, SegmentModel
from stemsplitter.separation.segments import OverlapAdd, Segment, Segmenter

Waveform = NDArray[np.float32]
Item = TypeVar("Item")

JOIN_TIMEOUT_S = 1.0
READ_AHEAD = 16  # blocks
PIECE = 1 << 16  # samples
MAX_SHIFT_S = 0.5  # as in demucs
_NO_AUDIO = np.zeros((2, 0), np.float32)


@dataclass(frozen=True)
class Piece:
    """A finished stretch of the song.

    Attributes:
        stems: the model's stems, ``[S, C, n]``.
        mixture: the song, ``[C, n]``.
        residual: largest difference between the sum of the stems and the mixture, full scale being 1.
    """

    stems: Waveform
    mixture: Waveform
    residual: float


def separate_stream(
    model: SegmentModel,
    blocks: Iterable[Waveform],
    sample_rate: int,
    channels: int,
    instruments: tuple[str, ...] = SIX_STEMS,
    *,
    overlap: float | None = None,
    shifts: int = 1,
) -> Generator[Piece, None, None]:
    """Separate a song given as blocks ``[C, n]``, C being 1 or 2, at ``sample_rate`` hertz.

    Yields pieces of a second or two, in order, at the same rate and with the same total number of samples. A mono song
    is separated as stereo with two equal channels and mixed down. Closing the generator waits for running segments for
    a second at most. ``overlap`` is the share of a segment that overlaps with the next, by default that of the model;
    the result is the average of ``shifts`` predictions.

    Stems that contain none of the ``instruments`` are silent. An ``InstrumentsModel`` does not estimate them; what
    another model finds in them is divided among the other stems by their energy, as the residual is.
    """
    hop = model.hop if overlap is None else max(int((1 - overlap) * model.segment), 1)
    if isinstance(model, InstrumentsModel) and instruments != SIX_STEMS:
        model = model.for_instruments(instruments)
    song = _Song(model, sample_rate, channels, instruments, hop, shifts)
    # not a with statement: an early exit must not wait for segments that have not started
    pool = ThreadPoolExecutor(model.concurrency, thread_name_prefix="segment")
    in_flight: deque[tuple[_Prediction, Segment, Future[Waveform]]] = deque()
    try:
        with closing(read_ahead(blocks, READ_AHEAD)) as ahead:
            for prediction, segment in song.segments(ahead):
                future = pool.submit(model.separate, segment.audio)
                in_flight.append((prediction, replace(segment, audio=_NO_AUDIO), future))
                # one segment more than the model processes, so that no thread waits for reading
                if len(in_flight) > model.concurrency + 1:
                    yield from song.add(*_next(in_flight))
        while in_flight:
            yield from song.add(*_next(in_flight))
        yield from song.finish()
    finally:
        running = [future for _, _, future in in_flight if not future.cancel()]
        pool.shutdown(wait=not wait(running, JOIN_TIMEOUT_S).not_done)


class _Prediction:
    """One prediction of a song that begins with ``shift`` samples of silence, which are removed again.

    Averaging predictions at several shifts is the method of demucs (Défossez et al. 2019), which draws the shifts at
    random; here they are evenly spaced, so that results repeat.
    """

    def __init__(self, model: SegmentModel, hop: int, shift: int) -> None:
        border = max(model.segment - hop, 0) if model.reflect else 0
        self._segmenter = Segmenter(2, model.segment, hop, border)
        self._overlap_add = OverlapAdd(model.window, hop, border)
        self._shift = self._silence = shift
        self._ready: deque[Waveform] = deque()
        self.samples = 0  # ready

    def push(self, block: Waveform) -> Iterator[Segment]:
        if self._shift:
            yield from self._segmenter.push(np.zeros((2, self._shift), np.float32))
            self._shift = 0
        yield from self._segmenter.push(block)

    def flush(self) -> Iterator[Segment]:
        yield from self._segmenter.flush()

    def add(self, segment: Segment, stems: Waveform) -> None:
        self._append(self._overlap_add.add(segment, stems))

    def finish(self) -> None:
        self._append(self._overlap_add.flush())

    def take(self, count: int) -> Waveform:
        """Remove and return the first ``count`` samples that are ready, ``[S, C, count]``."""
        self.samples -= count
        return take(self._ready, count)

    def _append(self, stems: Waveform) -> None:
        dropped = min(self._silence, stems.shape[-1])
        self._silence -= dropped
        if stems.shape[-1] > dropped:
            self._ready.append(stems[..., dropped:])
            self.samples += stems.shape[-1] - dropped


def _next(
    in_flight: deque[tuple[_Prediction, Segment, Future[Waveform]]],
) -> tuple[_Prediction, Segment, Waveform]:
    prediction, segment, future = in_flight.popleft()
    return prediction, segment, future.result()


class _Song:
    """The state of one song between blocks and pieces."""

    def __init__(
        self,
        model: SegmentModel,
        sample_rate: int,
        channels: int,
        instruments: tuple[str, ...],
        hop: int,
        shifts: int,
    ) -> None:
        count = len(model.stems)
        self._absent = absent_stems(model.stems, instruments)
        self._channels = channels
        self._mixture: deque[Waveform] = deque()
        self._samples = 0
        self._to_model = Resampler(sample_rate, model.sample_rate, channels)
        longest = int(MAX_SHIFT_S * model.sample_rate)
        self._predictions = [
            _Prediction(model, hop, longest * number // max(shifts, 1)) for number in range(max(shifts, 1))
        ]
        self._from_model = Resampler(model.sample_rate, sample_rate, count * channels)
        self._consistency = MixtureConsistency(count, channels, rest_stem(model.stems, instruments))
        self._unsummed: deque[Waveform] = deque()  # mixture of the stems that the consistency step holds

    def segments(self, blocks: Iterable[Waveform]) -> Iterator[tuple[_Prediction, Segment]]:
        for block in blocks:
            self._mixture.append(block)
            self._samples += block.shape[1]
            yield from self._push(stereo(self._to_model.push(block)))
        yield from self._push(stereo(self._to_model.flush()))
        for prediction in self._predictions:
            yield from ((prediction, segment) for segment in prediction.flush())

    def _push(self, block: Waveform) -> Iterator[tuple[_Prediction, Segment]]:
        for prediction in self._predictions:
            yield from ((prediction, segment) for segment in prediction.push(block))

    def add(self, prediction: _Prediction, segment: Segment, stems: Waveform) -> Iterator[Piece]:
        stems[self._absent] = 0
        prediction.add(segment, stems)
        del stems  # not held while pieces are encoded
        yield from self._average()

    def finish(self) -> Iterator[Piece]:
        for prediction in self._predictions:
            prediction.finish()
        yield from self._average()
        yield from self._emit(self._from_model.flush(self._samples))
        yield from self._piece(self._consistency.flush())

    def _average(self) -> Iterator[Piece]:
        count = min(prediction.samples for prediction in self._predictions)
        if not count:
            return
        stems, *others = (prediction.take(count) for prediction in self._predictions)
        for other in others:
            stems += other
        if others:
            stems /= len(self._predictions)
        yield from self._convert(stems)

    def _convert(self, stems: Waveform) -> Iterator[Piece]:
        for start in range(0, stems.shape[-1], PIECE):
            yield from self._emit(self._from_model.push(self._flat(stems[..., start : start + PIECE])))

    def _flat(self, stems: Waveform) -> Waveform:
        """Reshape ``[S, 2, n]`` to ``[S·C, n]``."""
        if self._channels == 1:
            mono: Waveform = stems.mean(axis=1)
            return mono
        return stems.reshape(-1, stems.shape[-1])

    def _emit(self, flat: Waveform) -> Iterator[Piece]:
        if not flat.size:
            return
        stems = flat.reshape(-1, self._channels, flat.shape[1])
        mixture = take(self._mixture, stems.shape[2])
        self._unsummed.append(mixture)
        yield from self._piece(self._consistency.push(mixture, stems))

    def _piece(self, stems: Waveform) -> Iterator[Piece]:
        if not stems.shape[2]:
            return
        mixture = take(self._unsummed, stems.shape[2])
        yield Piece(stems, mixture, float(np.abs(stems.sum(axis=0) - mixture).max(initial=0)))


def stereo(block: Waveform) -> Waveform:
    """Return ``[2, n]`` of ``[C, n]``: the channel of a mono song twice."""
    return np.repeat(block, 2, axis=0) if len(block) == 1 else block


def take(blocks: deque[Waveform], count: int) -> Waveform:
    """Remove the first ``count`` samples, or all if there are fewer, and return them as ``[…, n]``."""
    taken: list[Waveform] = []
    while count and blocks:
        block = blocks.popleft()
        if block.shape[-1] > count:
            blocks.appendleft(block[..., count:])
            block = block[..., :count]
        taken.append(block)
        count -= block.shape[-1]
    return taken[0] if len(taken) == 1 else np.concatenate(taken, axis=-1)


def read_ahead(items: Iterable[Item], count: int) -> Generator[Item, None, None]:
    """Yield items that another thread generates up to ``count`` ahead; its errors are raised in their place."""
    ready: queue.Queue[tuple[Item | None, BaseException | None]] = queue.Queue(count)
    stopped = threading.Event()

    def put(item: Item | None, error: BaseException | None) -> bool:
        while not stopped.is_set():
            try:
                ready.put((item, error), timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def run() -> None:
        try:
            for item in items:
                if not put(item, None):
                    return
        except BaseException as error:
            put(None, error)
        else:
            put(None, None)

    thread = threading.Thread(target=run, name="read-ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if item is None:
                return
            yield item
    finally:
        stopped.set()
        # A read in progress ends when its file is closed.
        thread.join(JOIN_TIMEOUT_S)
