"""Output of stems: one file per stem, or one Native Instruments Stem file."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from stemsplitter.audio.decode import MAX_RATE, MIN_RATE, AudioInfo
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.nistem import EXTENSION, MIXTURE, STEMS, NiStemWriter
from stemsplitter.audio.stem_encoders import WrittenStem
from stemsplitter.audio.stemset import StemSet
from stemsplitter.errors import RequestError
from stemsplitter.files.atomic import output_error
from stemsplitter.files.folder import OutputFolder
from stemsplitter.files.names import file_name
from stemsplitter.files.templates import fill_template, fitting_track, template_fields

Waveform = NDArray[np.float32]

SPOOL_SAMPLES = 1 << 16  # in a read


class Output(Protocol):
    """Writes the stems of a song; the files appear on :meth:`commit`, complete, or never."""

    gain: float

    def write(self, blocks: Mapping[str, Waveform]) -> None: ...

    def commit(self) -> list[WrittenStem]: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def output_rate(format: str, sample_rate: int) -> int:
    """Return the sample rate in hertz, the nearest that the format supports to ``sample_rate``.

    Raises:
        RequestError: the format is unknown, or the rate is not 8 to 192 kHz.
    """
    if not MIN_RATE <= sample_rate <= MAX_RATE:
        raise RequestError(
            f"Stems cannot have {sample_rate} Hz: choose a sample rate from {MIN_RATE} to {MAX_RATE} Hz."
        )
    name = f"m4a:{StemFile.BITRATE}" if format == EXTENSION else format
    return OutputFormat.parse(name).supported_rate(sample_rate)


def integer_bits(format: str) -> int:
    """Return the bits of a format with integer samples; 0 for another format."""
    fmt = None if format == EXTENSION else OutputFormat.parse(format)
    return fmt.bits if fmt is not None and fmt.is_integer else 0


def limited_rate(sample_rate: int, highest: int) -> int:
    """Return the sample rate in hertz at which to write a song with a limit of the rate.

    A rate over the limit is converted to one that divides it and is close to the limit (88.2 kHz to 44.1), else to the
    limit.
    """
    if sample_rate <= highest:
        return sample_rate
    divided = (sample_rate // by for by in range(2, 25) if sample_rate % by == 0)
    return next((rate for rate in divided if 0.9 * highest <= rate <= highest), highest)


def open_output(
    folder: Path,
    filename: str | None,
    song: str,
    stems: tuple[str, ...],
    format: str,
    sample_rate: int,
    source: AudioInfo,
) -> Output:
    """Open the output of the stems of ``song``.

    Raises:
        RequestError: the format cannot contain the stems, or ``filename`` gives two stems one path or has an unknown
            field.
    """
    if format == EXTENSION:
        return StemFile(folder / stem_file_path(filename, song), stems, sample_rate, source)
    fmt = OutputFormat.parse(format)
    paths = stem_paths(filename, song, stems, fmt.extension)
    absolute = {stem: folder / path for stem, path in paths.items()}
    return StemSet(absolute, fmt, sample_rate, source.channels, source.tags)


def stem_paths(filename: str | None, song: str, stems: tuple[str, ...], extension: str) -> dict[str, Path]:
    """Return the path of each stem's file in the output folder.

    Raises:
        RequestError: ``filename`` has an unknown field, or gives two stems one path.
    """
    filename = filename or "{stem}.{ext}"
    template_fields(filename, ("track", "stem", "ext"))
    longest = max(stems, key=len)
    track = fitting_track(filename, song, stem=longest, ext=extension)
    paths = {stem: fill_template(filename, track=track, stem=stem, ext=extension) for stem in stems}
    if len(set(paths.values())) < len(stems):
        raise RequestError(f"The file name {filename!r} is the same for several stems: add {{stem}}.")
    return paths


def stem_file_path(filename: str | None, song: str) -> Path:
    """Return the path of the one file that contains all stems, in the output folder.

    Raises:
        RequestError: ``filename`` has an unknown field.
    """
    if filename is None:
        return Path(file_name(song, f".{EXTENSION}"))
    template_fields(filename, ("track", "ext"))
    track = fitting_track(filename, song, ext=EXTENSION)
    return fill_template(filename, track=track, ext=EXTENSION)


class StemFile:
    """Writes all stems and their mixture to one Native Instruments Stem file.

    AAC distorts samples over full scale. So the tracks are also kept as float32 in an unnamed temporary file; if one
    exceeds full scale, all are encoded again with one gain.
    """

    BITRATE = 256

    def __init__(self, path: Path, stems: tuple[str, ...], sample_rate: int, source: AudioInfo) -> None:
        if set(stems) != set(STEMS):
            raise RequestError(f"A {EXTENSION} file contains the stems {', '.join(STEMS)}: choose 4s.")
        self.gain = 1.0
        self._peaks = dict.fromkeys((MIXTURE, *STEMS), 0.0)
        self._channels = source.channels
        self._path = path
        self._rate, self._tags = sample_rate, source.tags
        self._folder = OutputFolder(path.parent)
        try:
            self._writer = self._new_writer()
            self._spool = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115
        except OSError as error:
            self._writer.discard()
            self._folder.release(keep=False)
            raise output_error(self._path, error) from error
        except BaseException:
            self._folder.release(keep=False)
            raise

    def _new_writer(self) -> NiStemWriter:
        return NiStemWriter(self._path, self._rate, self._tags)

    def write(self, blocks: Mapping[str, Waveform]) -> None:
        """Append float32 ``[C, n]`` of every stem; their sum is the mixture."""
        mixture = np.stack(list(blocks.values())).sum(axis=0)
        tracks = {MIXTURE: mixture, **{name: blocks[name] for name in STEMS}}
        for name, block in tracks.items():
            self._peaks[name] = max(self._peaks[name], float(np.abs(block).max(initial=0)))
        try:
            self._spool.write(np.concatenate(list(tracks.values())).T.tobytes())
        except OSError as error:
            raise output_error(self._path, error) from error
        if max(self._peaks.values()) <= 1:
            self._writer.write(tracks)

    def commit(self) -> list[WrittenStem]:
        """Finish the file and rename it to its final name."""
        peak = max(self._peaks.values())
        if peak > 1:
            self._encode_again(1 / peak)
        self._writer.commit()
        self._folder.release(keep=True)
        return [
            WrittenStem(name, self._path, self._writer.samples, self._peaks[name] * self.gain)
            for name in STEMS
        ]

    def _encode_again(self, gain: float) -> None:
        self.gain = gain
        self._writer.discard()
        self._writer = self._new_writer()
        self._spool.seek(0)
        width = len(self._peaks) * self._channels
        while data := self._spool.read(SPOOL_SAMPLES * width * 4):
            rows = np.frombuffer(data, np.float32).reshape(-1, width).T * np.float32(gain)
            tracks = rows.reshape(len(self._peaks), self._channels, -1)
            self._writer.write(dict(zip(self._peaks, tracks, strict=True)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.discard()
        self._spool.close()
        self._folder.release(keep=False)
