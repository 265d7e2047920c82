"""Where stems go: a file for each, or all in one Native Instruments Stem file."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from stemsplitter.audio.decode import MAX_RATE, MIN_RATE, AudioInfo
from stemsplitter.audio.folder import OutputFolder
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.names import file_name
from stemsplitter.audio.nistem import EXTENSION, MIXTURE, STEMS, NiStemWriter
from stemsplitter.audio.stemset import StemSet, WrittenStem
from stemsplitter.errors import RequestError

Waveform = NDArray[np.float32]


class Output(Protocol):
    """Takes the stems of a song in step and shows them on :meth:`commit`, or never."""

    gain: float

    def write(self, blocks: Mapping[str, Waveform]) -> None: ...

    def commit(self) -> list[WrittenStem]: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def output_rate(format: str, sample_rate: int) -> int:
    """The sample rate in hertz that stems at ``sample_rate`` get in a format.

    RequestError for an unknown format, or a rate outside 8 to 192 kHz.
    """
    if not MIN_RATE <= sample_rate <= MAX_RATE:
        raise RequestError(
            f"Stems cannot have {sample_rate} Hz: choose a sample rate from {MIN_RATE} to {MAX_RATE} Hz."
        )
    name = f"m4a:{StemFile.BITRATE}" if format == EXTENSION else format
    return OutputFormat.parse(name).supported_rate(sample_rate)


def open_output(
    folder: Path, song: str, stems: tuple[str, ...], format: str, sample_rate: int, source: AudioInfo
) -> Output:
    """Begin to write a song's stems; RequestError where the format cannot hold them."""
    if format == EXTENSION:
        return StemFile(folder, song, stems, sample_rate, source)
    fmt = OutputFormat.parse(format)
    return StemSet(folder, stems, fmt, sample_rate, source.channels, source.tags)


class StemFile:
    """All stems and their mixture in ``folder/<song>.stem.mp4``."""

    BITRATE = 256

    def __init__(
        self, folder: Path, song: str, stems: tuple[str, ...], sample_rate: int, source: AudioInfo
    ) -> None:
        if set(stems) != set(STEMS):
            raise RequestError(f"A {EXTENSION} file holds the stems {', '.join(STEMS)}: choose 4s.")
        self.gain = 1.0
        self._peaks = dict.fromkeys(STEMS, 0.0)
        self._folder = OutputFolder(folder)
        try:
            path = folder / file_name(song, f".{EXTENSION}")
            self._writer = NiStemWriter(path, sample_rate, source.tags)
        except BaseException:
            self._folder.release(keep=False)
            raise

    def write(self, blocks: Mapping[str, Waveform]) -> None:
        """Append float32 ``[C, n]`` of every stem; they sum to the mixture, so it needs no channel of its own."""
        for name, block in blocks.items():
            self._peaks[name] = max(self._peaks[name], float(np.abs(block).max(initial=0)))
        mixture = np.stack(list(blocks.values())).sum(axis=0)
        self._writer.write({MIXTURE: mixture, **blocks})

    def commit(self) -> list[WrittenStem]:
        """Finish the file and give it its name."""
        self._writer.commit()
        self._folder.release(keep=True)
        return [
            WrittenStem(name, self._writer.path, self._writer.samples, peak)
            for name, peak in self._peaks.items()
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.discard()
        self._folder.release(keep=False)
