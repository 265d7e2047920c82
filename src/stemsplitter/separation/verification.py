"""Decoding what was written and comparing it with the song."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stemsplitter.audio.decode import open_source
from stemsplitter.audio.resample import Resampler
from stemsplitter.errors import OutputError
from stemsplitter.separation.results import StemFiles

Waveform = NDArray[np.float32]


@dataclass(frozen=True)
class Verification:
    """``residual_dbfs``: level (RMS) of the difference between the decoded stems' sum and the mixture.

    None where the stems asked for do not make up the whole song.
    """

    residual_dbfs: float | None


def verify_files(song: Path, result: StemFiles) -> Verification:
    """Decode the stem files and the song again, in step, and add the stems up.

    Of a Native Instruments Stem file the first track is compared, which is the mixture.

    Raises:
        OutputError: a file does not have exactly the song's samples.
    """
    paths = list(dict.fromkeys(file.path for file in result.files))
    with ExitStack() as stack:
        mixture = stack.enter_context(open_source(song))
        blocks = _at_rate(mixture.blocks(), mixture.info.sample_rate, result)
        stems = [stack.enter_context(open_source(path)) for path in paths]
        power = 0.0
        for parts in zip_longest(_even(blocks), *(_even(stem.blocks()) for stem in stems)):
            if any(part is None or part.shape != parts[0].shape for part in parts):
                continue  # a length is wrong, which is told below
            block, *others = (part.astype(np.float64) for part in parts)
            power += float(np.square(block * result.gain - sum(others)).mean(axis=0).sum())
        for stem, path in zip(stems, paths, strict=True):
            if stem.samples != result.samples:
                raise OutputError(
                    f"{path.name} has {stem.samples} samples where the song has {result.samples}: "
                    "write it again, and report this if it stays so."
                )
    if not result.complete:
        return Verification(None)
    return Verification(10 * float(np.log10(max(power / result.samples, 1e-20))))


def _at_rate(blocks: Iterator[Waveform], rate: int, result: StemFiles) -> Iterator[Waveform]:
    if rate == result.sample_rate:
        yield from blocks
        return
    resampler = Resampler(rate, result.sample_rate, result.source.channels)
    for block in blocks:
        yield resampler.push(block)
    yield resampler.flush()


def _even(blocks: Iterator[Waveform], size: int = 1 << 16) -> Iterator[Waveform]:
    """The same samples in blocks of ``size``, the last one shorter."""
    held: Waveform | None = None
    for block in blocks:
        held = block if held is None else np.concatenate((held, block), axis=1)
        while held.shape[1] >= size:
            yield held[:, :size]
            held = held[:, size:]
    if held is not None and held.shape[1]:
        yield held
