"""Decoding what was written and comparing it with the song."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stemsplitter.audio.decode import AudioSource, open_source
from stemsplitter.audio.resample import Resampler
from stemsplitter.errors import OutputError
from stemsplitter.library.results import StemFiles

Waveform = NDArray[np.float32]

BLOCK = 1 << 16


@dataclass(frozen=True)
class Verification:
    """``residual_dbfs``: level (RMS) of the difference between the decoded stems' sum and the mixture.

    None where the stems asked for do not make up the whole song.
    """

    residual_dbfs: float | None


def verify_files(song: Path, result: StemFiles) -> Verification:
    """Decode the stems and the song again, in step, and add the stems up.

    Raises:
        OutputError: a stem does not have exactly the song's samples.
        AudioError: a file cannot be read any more.
    """
    with ExitStack() as stack:
        mixture = stack.enter_context(open_source(song))
        stems = {name: stack.enter_context(source) for name, source in _stems(result)}
        power = 0.0
        parts = zip_longest(
            _even(_at_rate(mixture, result)), *(_even(stem.blocks()) for stem in stems.values())
        )
        for wanted, *given in parts:
            if wanted is None or any(part is None or part.shape[1] != wanted.shape[1] for part in given):
                continue  # a length is wrong, which is told below
            # a mono song has two equal channels in a Native Instruments Stem file
            difference = wanted.astype(np.float64) * result.gain - sum(
                part.astype(np.float64) for part in given
            )
            power += float(np.square(difference).mean(axis=0).sum())
        for name, stem in stems.items():
            if stem.samples != result.samples:
                raise OutputError(
                    f"The stem {name} was written with {stem.samples} samples where the song has "
                    f"{result.samples}: write it again, and report this if it stays so."
                )
    if not result.complete:
        return Verification(None)
    return Verification(10 * float(np.log10(max(power / result.samples, 1e-20))))


def _stems(result: StemFiles) -> Iterator[tuple[str, AudioSource]]:
    """Each stem, opened: a file's only track, or one of a Native Instruments Stem file, after its mixture."""
    in_one_file = len(result.files) > 1 and len({file.path for file in result.files}) == 1
    for number, file in enumerate(result.files, 1):
        yield file.name, open_source(file.path, track=number if in_one_file else None)


def _at_rate(mixture: AudioSource, result: StemFiles) -> Iterator[Waveform]:
    if mixture.info.sample_rate == result.sample_rate:
        yield from mixture.blocks()
        return
    resampler = Resampler(mixture.info.sample_rate, result.sample_rate, mixture.info.channels)
    for block in mixture.blocks():
        yield resampler.push(block)
    yield resampler.flush()


def _even(blocks: Iterator[Waveform]) -> Iterator[Waveform]:
    """The same samples in blocks of ``BLOCK``, the last one shorter."""
    held: Waveform | None = None
    for block in blocks:
        held = block if held is None else np.concatenate((held, block), axis=1)
        while held.shape[1] >= BLOCK:
            yield held[:, :BLOCK]
            held = held[:, BLOCK:]
    if held is not None and held.shape[1]:
        yield held
