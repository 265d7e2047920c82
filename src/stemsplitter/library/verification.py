"""Verification: decodes the written stems and compares their sum with the song."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stemsplitter.audio.decode import AudioSource, open_source
from stemsplitter.audio.mixing import resampled
from stemsplitter.errors import OutputError
from stemsplitter.library.results import StemFiles

Waveform = NDArray[np.float32]

BLOCK = 1 << 16


@dataclass(frozen=True)
class Verification:
    """The result of a verification.

    Attributes:
        residual_dbfs: RMS level of the difference between the sum of the decoded stems and the mixture; None if the
            requested stems do not sum to the song.
    """

    residual_dbfs: float | None


def verify_files(song: Path, result: StemFiles) -> Verification:
    """Decode the stems and the song again and compare them.

    Raises:
        OutputError: a stem does not have the number of samples of the song.
        AudioError: a file cannot be read.
    """
    with ExitStack() as stack:
        mixture = stack.enter_context(open_source(song))
        stems = {name: stack.enter_context(source) for name, source in _stems(result)}
        info, power = mixture.info, 0.0
        song_blocks = resampled(
            mixture.blocks(excerpt=result.excerpt), info.sample_rate, result.sample_rate, info.channels
        )
        parts = zip_longest(_rechunked(song_blocks), *(_rechunked(stem.blocks()) for stem in stems.values()))
        for expected, *given in parts:
            if expected is None or any(part is None or part.shape[1] != expected.shape[1] for part in given):
                continue  # a length is wrong, which is an error below
            # a Native Instruments Stem file has two equal channels for a mono song
            difference = expected.astype(np.float64) * result.gain - sum(
                part.astype(np.float64) for part in given
            )
            power += float(np.square(difference).mean(axis=0).sum())
        for name, stem in stems.items():
            if stem.samples != result.samples:
                raise OutputError(
                    f"The stem {name} was written with {stem.samples} samples where the song has "
                    f"{result.samples}: separate the song again, and report this if it happens again."
                )
    if not result.complete:
        return Verification(None)
    return Verification(10 * float(np.log10(max(power / result.samples, 1e-20))))


def _stems(result: StemFiles) -> Iterator[tuple[str, AudioSource]]:
    """Open each stem: the only track of a file, or one after the mixture of a Native Instruments Stem file."""
    in_one_file = len(result.files) > 1 and len({file.path for file in result.files}) == 1
    for number, file in enumerate(result.files, 1):
        yield file.name, open_source(file.path, track=number if in_one_file else None)


def _rechunked(blocks: Iterator[Waveform]) -> Iterator[Waveform]:
    """Yield the samples in blocks of ``BLOCK``, the last one shorter."""
    held: Waveform | None = None
    for block in blocks:
        held = block if held is None else np.concatenate((held, block), axis=1)
        while held.shape[1] >= BLOCK:
            yield held[:, :BLOCK]
            held = held[:, BLOCK:]
    if held is not None and held.shape[1]:
        yield held
