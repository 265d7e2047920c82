"""Encoding of all stems of a song: in parallel, with one gain, committed together."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.stem_encoders import StemEncoders, WrittenStem
from stemsplitter.audio.tags import Tags
from stemsplitter.files.atomic import output_error

Samples = npt.NDArray[np.float32]

_SPOOL_SAMPLES = 1 << 16


class StemSet(StemEncoders):
    """Writes the file ``paths[stem]`` for every stem: all of them on :meth:`commit`, or none.

    The stems keep their relative levels, so that they still sum to the mixture. If any stem exceeds the format's
    headroom (:attr:`OutputFormat.headroom`: full scale for integers, unlimited for float WAV), one ``gain`` below 1
    is applied to all of them: blocks are encoded immediately until the first such sample and spooled as float32 to
    unnamed temporary files from then on, and :meth:`commit` encodes all stems again with the gain for the highest
    peak. Otherwise ``gain`` is 1.

    As a context manager it discards uncommitted files. Raises :class:`OutputError` if the folder cannot be written
    or is locked by another run, :class:`RequestError` for a sample rate that the format does not support.
    """

    def __init__(
        self,
        paths: Mapping[str, Path],
        fmt: OutputFormat,
        sample_rate: int,
        channels: int,
        tags: Tags | None = None,
        *,
        threads: int = 2,
    ) -> None:
        self.gain = 1.0
        self._paths = dict(paths)
        self._overload = 0.0
        self._spools: dict[str, IO[bytes]] = {}
        super().__init__(self._paths, fmt, sample_rate, channels, tags, threads)

    def _path(self, name: str) -> Path:
        return self._paths[name]

    @property
    def peak(self) -> float:
        """The largest absolute sample of any stem so far, before ``gain``; 1.0 is full scale."""
        return max(self._peaks.values(), default=0.0)

    def write(self, blocks: Mapping[str, Samples]) -> None:
        """Append the next float32 ``[channels, n]`` of every stem, with one n for all.

        The blocks are copied; encoding continues after the call, and the next call waits for it.
        """
        if blocks.keys() != self._writers.keys() or len({block.shape for block in blocks.values()}) != 1:
            raise ValueError("every stem needs a block, all of one shape")
        copies = {name: np.array(block, np.float32, order="C") for name, block in blocks.items()}
        if not next(iter(copies.values())).size:
            return
        for name, block in copies.items():
            self._measure(name, block)
        self._wait()
        if self._overload > 1 and not self._spools:
            self._open_spools()
        if self._spools:
            self._run(self._spool, copies.items())
        else:
            self._run(lambda name, block: self._writers[name].write(block), copies.items())

    def _measure(self, name: str, block: Samples) -> None:
        high, low = float(block.max()), float(block.min())
        self._peaks[name] = max(self._peaks[name], high, -low)
        # The largest integer is one step below full scale, the smallest at it; rounding removes half a step.
        step = 2.0 ** (1 - self._format.bits) if self._format.is_integer else 0.0
        for value, limit in ((high, self._format.headroom - step), (-low, self._format.headroom)):
            if value > limit + step / 2:
                self._overload = max(self._overload, value / limit)

    def _open_spools(self) -> None:
        for name in self._writers:
            try:
                self._spools[name] = tempfile.TemporaryFile(dir=self._paths[name].parent)  # noqa: SIM115
            except OSError as error:
                raise output_error(self._writers[name].path, error) from error

    def _spool(self, name: str, block: Samples) -> None:
        try:
            self._spools[name].write(block.T.tobytes())
        except OSError as error:
            raise output_error(self._writers[name].path, error) from error

    def _spooled(self, name: str) -> Iterator[Samples]:
        spool = self._spools[name]
        spool.seek(0)
        while data := spool.read(_SPOOL_SAMPLES * self._channels * 4):
            yield np.ascontiguousarray(np.frombuffer(data, np.float32).reshape(-1, self._channels).T)

    def commit(self) -> list[WrittenStem]:
        """Finish all files and give them their names, replacing any files of those names."""
        self._wait()
        if self._spools:
            self.gain = 1 / self._overload
        self._run_all(self._rewrite if self._spools else self._finish)
        return self._name_all(self.gain)

    def _finish(self, name: str) -> None:
        self._writers[name].finish()

    def _rewrite(self, name: str) -> None:
        """Encode a stem again with the shared gain: first the encoded part, then the spooled part."""
        writer = self._encode_again(name, self.gain)
        for block in self._spooled(name):
            writer.write(block * np.float32(self.gain))
        writer.finish()

    def _close(self) -> None:
        for spool in self._spools.values():
            spool.close()
