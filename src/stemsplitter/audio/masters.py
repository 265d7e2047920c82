"""Lossless stems of a song, from which every other file of it is made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.stem_encoders import StemEncoders, WrittenStem
from stemsplitter.audio.tags import Tags

Samples = npt.NDArray[np.float32]

FORMAT = OutputFormat.parse("flac24")
FLOAT_FORMAT = OutputFormat.parse("wav32f")
_HALF_STEP = 2.0**-24
_HIGHEST = 1 - _HALF_STEP  # from here on a sample rounds to an integer that 24 bits do not have
_LOWEST = -1 - _HALF_STEP


class Masters(StemEncoders):
    """Writes the file of every stem to a folder: all of them on :meth:`commit`, or none.

    The format is ``fmt``, FLAC with 24 bits by default. If a sample exceeds full scale, it is WAV with 32-bit floats
    for all stems, so that nothing is scaled or clipped: the files so far are decoded and written again, which takes
    little time. As a context manager it discards uncommitted files. Raises like
    :class:`~stemsplitter.audio.stemset.StemSet`.
    """

    def __init__(
        self,
        folder: Path,
        stems: tuple[str, ...],
        sample_rate: int,
        channels: int,
        tags: Tags | None = None,
        *,
        fmt: OutputFormat = FORMAT,
        threads: int = 2,
    ) -> None:
        self._folder = folder
        super().__init__(stems, fmt, sample_rate, channels, tags, threads)

    @property
    def format(self) -> OutputFormat:
        """The format of the files."""
        return self._format

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.{self._format.extension}"

    def write(self, blocks: Mapping[str, Samples]) -> None:
        """Append the next float32 ``[channels, n]`` of every stem. Encoding continues after the call; the blocks must
        not change."""
        self._wait()
        is_over = False
        for name, block in blocks.items():
            high, low = float(block.max(initial=0)), float(block.min(initial=0))
            self._peaks[name] = max(self._peaks[name], high, -low)
            is_over = is_over or high > _HIGHEST or low < _LOWEST
        if is_over and not self._format.is_float:
            self._format = FLOAT_FORMAT
            self._run_all(self._rewrite)
        self._run(lambda name, block: self._writers[name].write(block), blocks.items())

    def commit(self) -> list[WrittenStem]:
        """Finish all files and give them their names."""
        self._wait()
        self._run_all(lambda name: self._writers[name].finish())
        return self._name_all()

    def _rewrite(self, name: str) -> None:
        self._encode_again(name)
