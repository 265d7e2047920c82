"""Output of stems in any format together with their lossless masters."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from stemsplitter.audio import masters
from stemsplitter.audio.decode import AudioInfo, open_source
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.masters import Masters
from stemsplitter.audio.resample import Resampler
from stemsplitter.audio.stem_encoders import WrittenStem
from stemsplitter.audio.stemset import StemSet

Waveform = NDArray[np.float32]


class MasteredOutput:
    """Writes ``folder/STEM.EXTENSION`` in ``fmt`` and the masters of the stems to ``masters_folder``.

    In a lossless format of 24 bits or more, the masters have that format and are the stems; else they have
    ``master_format``. Only if a sample exceeds full scale are the stems made from the masters afterwards, all with one
    gain.

    Attributes:
        masters: the masters, after :meth:`commit`.
        gain: factor applied to all stems so that none clips.
    """

    def __init__(
        self,
        folder: Path,
        masters_folder: Path,
        stems: tuple[str, ...],
        fmt: OutputFormat,
        sample_rate: int,
        source: AudioInfo,
        master_format: OutputFormat = masters.FORMAT,
    ) -> None:
        self.gain = 1.0
        self.masters: tuple[WrittenStem, ...] = ()
        self._stems, self._format = stems, fmt
        self._folder, self._rate, self._source = folder, fmt.supported_rate(sample_rate), source
        self._resampler = Resampler(sample_rate, self._rate, len(stems) * source.channels)
        is_master = fmt.entry.is_lossless and fmt.bits >= masters.FORMAT.bits and self._rate == sample_rate
        with ExitStack() as stack:
            self._masters = stack.enter_context(
                Masters(
                    masters_folder,
                    stems,
                    sample_rate,
                    source.channels,
                    source.tags,
                    fmt=fmt if is_master else master_format,
                )
            )
            self._files = None if is_master else stack.enter_context(self._open_files())
            self._stack = stack.pop_all()

    def write(self, blocks: Mapping[str, Waveform]) -> None:
        """Append the next float32 ``[C, n]`` of every stem."""
        self._masters.write(blocks)
        if self._files is not None:
            joined = np.concatenate([blocks[name] for name in self._stems])
            self._write_files(self._files, self._resampler.push(joined))

    def commit(self) -> list[WrittenStem]:
        """Finish all files and give them their names; return the stems."""
        if self._files is not None:
            self._write_files(self._files, self._resampler.flush())
        self.masters = tuple(self._masters.commit())
        if self._files is not None:
            files = self._files.commit()
            self.gain = self._files.gain
            return files
        if self._masters.format == self._format:
            return list(self.masters)
        return self._made_from_masters()

    def _made_from_masters(self) -> list[WrittenStem]:
        self.gain = 1 / max(master.peak for master in self.masters)
        with self._open_files() as files, ExitStack() as stack:
            sources = [stack.enter_context(open_source(master.path)) for master in self.masters]
            for blocks in zip(*(source.blocks() for source in sources), strict=True):
                scaled = (block * np.float32(self.gain) for block in blocks)
                files.write(dict(zip(self._stems, scaled, strict=True)))
            return files.commit()

    def _open_files(self) -> StemSet:
        paths = {name: self._folder / f"{name}.{self._format.extension}" for name in self._stems}
        return StemSet(paths, self._format, self._rate, self._source.channels, self._source.tags)

    def _write_files(self, files: StemSet, joined: Waveform) -> None:
        stems = joined.reshape(len(self._stems), self._source.channels, joined.shape[1])
        files.write(dict(zip(self._stems, stems, strict=True)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
