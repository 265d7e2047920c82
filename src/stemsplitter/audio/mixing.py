"""Mixing of stems to one file, block by block, each with a gain and a pan position."""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stemsplitter.audio.decode import AudioSource, open_source
from stemsplitter.audio.encode import StemWriter
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.resample import Resampler
from stemsplitter.audio.tags import Tags

Samples = npt.NDArray[np.float32]
Exact = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """A stem in a mix: ``gain_db`` in decibels, 0 for unchanged, ``pan`` from -1 (left) to 1 (right)."""

    path: Path
    gain_db: float = 0.0
    pan: float = 0.0


@dataclass(frozen=True)
class Mixed:
    """A written mix: ``samples`` per channel, and its level.

    ``peak`` is the largest absolute sample before encoding, 1 being full scale; ``over`` counts the samples above full
    scale, which integer WAV and FLAC clip, MP3 keeps but most players clip, and float WAV keeps.
    """

    samples: int
    sample_rate: int
    peak: float
    over: int


def write_mix(parts: Sequence[Part], path: Path, fmt: OutputFormat, tags: Tags | None = None) -> Mixed:
    """Write the sum of ``parts``, which have one sample rate, to ``path``, without a limiter or dither.

    If the parts are lossless, all gains 0 dB and all pans 0, each sample of the mix is the exact sum, rounded once, to
    the output format. Mono stays mono unless a part is panned. Memory use does not depend on the length.

    Raises:
        AudioError: a part cannot be decoded.
        OutputError: the file cannot be written; none is left.
    """
    meter = _Meter(fmt)
    with ExitStack() as stack:
        sources = [stack.enter_context(open_source(part.path)) for part in parts]
        channels = max(2 if part.pan else source.info.channels for part, source in _both(parts, sources))
        rate = fmt.supported_rate(sources[0].info.sample_rate)
        writer = stack.enter_context(StemWriter(path, fmt, rate, channels, tags))
        for block in resampled(mixed(parts, sources, channels), sources[0].info.sample_rate, rate, channels):
            meter.measure(block)
            writer.write(block)
        writer.commit()
    return Mixed(writer.samples, rate, meter.peak, meter.over)


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
    def __init__(self, fmt: OutputFormat) -> None:
        # The largest integer is one step below full scale; up to half a step above it rounds to it.
        step = 2.0 ** (1 - fmt.bits) if fmt.is_integer else 0.0
        self._highest, self._lowest = 1 - step / 2, -1 - step / 2
        self.peak = 0.0
        self.over = 0

    def measure(self, block: Samples) -> None:
        self.peak = max(self.peak, float(np.abs(block).max(initial=0)))
        if self.peak > self._highest:
            self.over += int(np.count_nonzero((block > self._highest) | (block < self._lowest)))
