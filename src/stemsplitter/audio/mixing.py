"""Mixing of stems to one file, block by block, each with a gain and a pan position."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from stemsplitter.audio.decode import AudioSource, open_source
from stemsplitter.audio.encode import StemWriter
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.resample import Resampler
from stemsplitter.audio.tags import Tags

Samples = npt.NDArray[np.float32]
Exact = npt.NDArray[np.float64]


class Effect(Protocol):
    """An effect of :mod:`stemsplitter.effects`."""

    def process(self, block: Samples) -> Samples:
        """Take float32 ``[C, n]`` and return the samples that are finished."""

    def flush(self) -> Samples:
        """End the stream and return its remaining samples."""


MakeEffect = Callable[[int, int], Effect]
"""Returns an effect for a sample rate and a number of channels."""


@dataclass(frozen=True)
class Part:
    """A stem in a mix: ``gain_db`` in decibels, 0 for unchanged, ``pan`` from -1 (left) to 1 (right).

    Parts with the same ``effect`` are added up before it. All effects of a mix make streams of the same length.
    """

    path: Path
    gain_db: float = 0.0
    pan: float = 0.0
    effect: MakeEffect | None = None


@dataclass(frozen=True)
class Mixed:
    """A written mix: ``samples`` per channel, and its level.

    ``peak`` is the largest absolute sample of the sum, 1 being full scale; ``gain`` is the factor applied to it, below
    1 if it exceeds full scale and the format is not float.
    """

    samples: int
    sample_rate: int
    peak: float
    gain: float


def write_mix(parts: Sequence[Part], path: Path, fmt: OutputFormat, tags: Tags | None = None) -> Mixed:
    """Write the sum of ``parts``, which have one sample rate, to ``path``, without a limiter or dither.

    If the parts are lossless, all gains 0 dB and all pans 0, each sample of the mix is the exact sum, rounded once, to
    the output format. A sum over full scale is multiplied by the gain that brings its peak to full scale: the parts are
    then read a second time. Mono stays mono unless a part is panned. Memory use does not depend on the length.

    Raises:
        AudioError: a part cannot be decoded.
        OutputError: the file cannot be written; none is left.
    """
    meter = _Meter(fmt)
    written = _write(parts, path, fmt, tags, meter)
    if written is None:
        meter.gain = 1 / meter.overload
        written = _write(parts, path, fmt, tags, meter)
    assert written is not None
    return Mixed(written.samples, written.sample_rate, meter.peak, meter.gain)


def _write(
    parts: Sequence[Part], path: Path, fmt: OutputFormat, tags: Tags | None, meter: "_Meter"
) -> StemWriter | None:
    """Write the mix with the gain of ``meter``. Without one, only measure from the first overload on; return None."""
    with ExitStack() as stack:
        sources = [stack.enter_context(open_source(part.path)) for part in parts]
        channels = max(2 if part.pan else source.info.channels for part, source in _both(parts, sources))
        from_rate = sources[0].info.sample_rate
        rate = fmt.supported_rate(from_rate)
        writer = stack.enter_context(StemWriter(path, fmt, rate, channels, tags))
        for block in resampled(_changed(parts, sources, channels), from_rate, rate, channels):
            if meter.gain < 1:
                writer.write(block * np.float32(meter.gain))
                continue
            meter.measure(block)
            if meter.overload <= 1:
                writer.write(block)
        if meter.gain == 1 and meter.overload > 1:
            return None
        writer.commit()
        return writer


def _changed(parts: Sequence[Part], sources: Sequence[AudioSource], channels: int) -> Iterator[Samples]:
    """Yield the sum of the parts after their effects."""
    groups: dict[MakeEffect | None, list[tuple[Part, AudioSource]]] = {}
    for part, source in _both(parts, sources):
        groups.setdefault(part.effect, []).append((part, source))
    rate = sources[0].info.sample_rate
    streams = []
    for make, group in groups.items():
        blocks = mixed([part for part, _ in group], [source for _, source in group], channels)
        streams.append(blocks if make is None else _through(make(rate, channels), blocks))
    return streams[0] if len(streams) == 1 else _summed(streams)


def _through(effect: Effect, blocks: Iterable[Samples]) -> Iterator[Samples]:
    for block in blocks:
        yield effect.process(block)
    yield effect.flush()


def _summed(streams: Sequence[Iterator[Samples]]) -> Iterator[Samples]:
    """Yield the sum of streams of the same length, whose blocks may have any length."""
    waiting = [next(stream) for stream in streams]
    while True:
        for number, stream in enumerate(streams):
            while not waiting[number].shape[1]:
                block = next(stream, None)
                if block is None:
                    return
                waiting[number] = block
        ready = min(block.shape[1] for block in waiting)
        yield np.sum([block[:, :ready] for block in waiting], axis=0, dtype=np.float32)
        waiting = [block[:, ready:] for block in waiting]


def mixed(parts: Sequence[Part], sources: Sequence[AudioSource], channels: int) -> Iterator[Samples]:
    """Yield the sum of ``parts``, read from ``sources``, as blocks ``[channels, n]``."""
    matrices = [
        pan_matrix(part.gain_db, part.pan, channels, source.info.channels)
        for part, source in _both(parts, sources)
    ]
    # Stems of one song are equally long, unless a file is damaged.
    for blocks in itertools.zip_longest(*(source.blocks() for source in sources)):
        total = np.zeros((channels, max(block.shape[1] for block in blocks if block is not None)))
        for block, matrix in zip(blocks, matrices, strict=True):
            if block is not None:
                total[:, : block.shape[1]] += matrix @ block.astype(np.float64)
        yield total.astype(np.float32)


def resampled(blocks: Iterable[Samples], from_rate: int, to_rate: int, channels: int) -> Iterator[Samples]:
    """Yield the blocks converted to ``to_rate``; unchanged if the rates are equal."""
    resampler = Resampler(from_rate, to_rate, channels)
    for block in blocks:
        yield resampler.push(block)
    yield resampler.flush()


def pan_matrix(gain_db: float, pan: float, channels: int, inputs: int) -> Exact:
    """Matrix ``[channels, inputs]`` that places a part of 1 or 2 ``inputs`` channels in the mix.

    The pan law is that of the Web Audio API's StereoPannerNode for stereo input (equal power): the signal removed from
    one side is added to the other, and the center is unchanged. A mono part counts as two equal channels.
    """
    gain = 10 ** (gain_db / 20)
    if channels == 1:
        return np.full((1, inputs), gain)
    kept, moved = math.cos(abs(pan) * math.pi / 2), math.sin(abs(pan) * math.pi / 2)
    law = np.array([[kept, 0.0], [moved, 1.0]] if pan > 0 else [[1.0, moved], [0.0, kept]])
    return gain * (law if inputs == 2 else law.sum(axis=1, keepdims=True))


def _both(parts: Sequence[Part], sources: Sequence[AudioSource]) -> Iterator[tuple[Part, AudioSource]]:
    return zip(parts, sources, strict=True)


class _Meter:
    """Measures the peak of a mix, and its excess over full scale for a format that is not float."""

    def __init__(self, fmt: OutputFormat) -> None:
        # The largest integer is one step below full scale; up to half a step above it rounds to it.
        step = 2.0 ** (1 - fmt.bits) if fmt.is_integer else 0.0
        self._limits = (math.inf, math.inf) if fmt.is_float else (1 - step, 1.0)
        self._tolerance = step / 2
        self.peak = 0.0
        self.overload = 1.0
        self.gain = 1.0

    def measure(self, block: Samples) -> None:
        for value, limit in zip((block.max(initial=0), -block.min(initial=0)), self._limits, strict=True):
            self.peak = max(self.peak, float(value))
            if value > limit + self._tolerance:
                self.overload = max(self.overload, float(value) / limit)
