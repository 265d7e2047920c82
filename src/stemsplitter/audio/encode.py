"""Encoding of one stem to a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import av.error
import numpy as np
import numpy.typing as npt
import soundfile

from stemsplitter.audio.decode import AudioSource
from stemsplitter.audio.encoders import LAYOUTS
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.tags import Tags
from stemsplitter.errors import OutputError, RequestError
from stemsplitter.files.atomic import AtomicFile, output_error
from stemsplitter.files.names import shown

Samples = npt.NDArray[np.float32]

_ENCODER_ERRORS = (av.error.FFmpegError, soundfile.SoundFileError, RuntimeError, ValueError)


def encoding_error(path: Path, error: BaseException) -> BaseException:
    """Translate ``error`` while writing ``path`` to an :class:`OutputError` if a user can cause it."""
    if isinstance(error, OSError) and error.errno and not isinstance(error, av.error.ArgumentError):
        return output_error(path, error)
    if isinstance(error, _ENCODER_ERRORS):
        return OutputError(f"{shown(path)} cannot be encoded ({error}): choose another format.")
    return error


class StemWriter:
    """Writes one audio file atomically: it appears under its name on :meth:`commit`.

    A decoder that applies the encoder delay and padding returns as many samples as were written, aligned with
    them. Integer formats round to nearest and saturate at full scale (±1); float and lossy formats do not clip.

    As a context manager it discards an uncommitted file. Raises :class:`OutputError` when writing fails (the
    file is then discarded), :class:`RequestError` for a sample rate that the format does not support
    (:meth:`OutputFormat.supported_rate`) or for other than 1 or 2 channels.
    """

    def __init__(
        self, path: Path, fmt: OutputFormat, sample_rate: int, channels: int, tags: Tags | None = None
    ) -> None:
        if fmt.supported_rate(sample_rate) != sample_rate:
            raise RequestError(
                f"{fmt.container} cannot be written at {sample_rate} Hz: resample to "
                f"{fmt.supported_rate(sample_rate)} Hz or choose wav or flac."
            )
        if channels not in LAYOUTS:
            raise RequestError(f"A stem has 1 or 2 channels, not {channels}: mix it down first.")
        self.path = path
        self.sample_rate = sample_rate
        self.samples = 0
        self._channels = channels
        self._finished = False
        self._pending = AtomicFile(path)
        try:
            self._encoder = fmt.open_encoder()(self._pending.file, fmt, sample_rate, channels, tags or Tags())
        except BaseException as error:
            self._pending.discard()
            raise encoding_error(self.path, error) from error

    def write(self, block: Samples) -> None:
        """Append float32 ``[channels, n]``; n may be 0."""
        if block.shape[0] != self._channels or block.dtype != np.float32:
            raise ValueError(f"a block is float32 [{self._channels}, n], not {block.dtype} {block.shape}")
        if not block.shape[1]:
            return
        if not np.isfinite(block).all():
            self.discard()
            raise OutputError(
                f"{shown(self.path)} cannot be written because some of its samples are not numbers: try another "
                "model, device or precision."
            )
        try:
            self._encoder.write(block)
        except BaseException as error:
            self.discard()
            raise encoding_error(self.path, error) from error
        self.samples += block.shape[1]

    def finish(self) -> None:
        """Encode the remaining samples and complete the file, which stays unnamed."""
        if self._finished:
            return
        try:
            self._encoder.finish()
            self._pending.file.flush()
        except BaseException as error:
            self.discard()
            raise encoding_error(self.path, error) from error
        self._encoder.close()
        self._finished = True

    def reread(self) -> Iterator[Samples]:
        """Finish, and yield the decoded file as blocks; only :meth:`discard` may follow."""
        self.finish()
        if not self.samples:
            return
        self._pending.file.seek(0)
        with AudioSource(self._pending.file, self.path, None) as source:
            yield from source.blocks()

    def commit(self) -> None:
        """Finish the file and give it its name, replacing any file of that name."""
        self.finish()
        self._pending.commit()

    def discard(self) -> None:
        """Delete the file. Idempotent; does nothing after :meth:`commit`."""
        self._encoder.close()
        self._pending.discard()

    def __enter__(self) -> StemWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()
