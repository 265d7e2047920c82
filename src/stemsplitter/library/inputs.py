"""Sources of a separation: files, file objects, bytes, and arrays of any library."""

import os
import shutil
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from stemsplitter.audio.decode import MAX_RATE, MIN_RATE, AudioSource, cleaned, open_source
from stemsplitter.errors import AudioError

Waveform = NDArray[np.float32]
FilePath = str | os.PathLike[str]
Data = bytes | bytearray | memoryview | BinaryIO

_FULL_SCALE = {"i2": 2.0**15, "i4": 2.0**31}
_UNNAMED = "song"
_REMEDY = "give [samples], [1, samples] or [2, samples]"


class ArrayLike(Protocol):
    """An array of NumPy, PyTorch, JAX or another library, on any device."""

    def __array__(self) -> NDArray[Any]: ...


def is_file(source: object) -> bool:
    """Return True for a path, bytes or a file object; False for an array."""
    is_data = isinstance(source, str | os.PathLike | bytes | bytearray | memoryview)
    return is_data or hasattr(source, "read")


def song_name(source: FilePath | Data) -> str:
    """Return the file name of the source; ``song`` if it has none."""
    name = source if isinstance(source, str | os.PathLike) else getattr(source, "name", None)
    return Path(name).name if isinstance(name, str | os.PathLike) else _UNNAMED


def open_song(source: FilePath | Data, max_seconds: float | None = None) -> AudioSource:
    """Open a file, bytes, or a binary file object, which is read from its position on into a temporary file.

    Raises:
        AudioError: the source cannot be read.
    """
    if isinstance(source, str | os.PathLike):
        return open_source(source, max_seconds=max_seconds)
    stream = BytesIO(source) if isinstance(source, bytes | bytearray | memoryview) else source
    with tempfile.TemporaryFile() as copy:
        try:
            shutil.copyfileobj(stream, copy)
        except TypeError as error:
            raise AudioError("The file object is in text mode: open it in binary mode, as 'rb'.") from error
        copy.flush()
        if not copy.tell():
            raise AudioError("The source is empty (0 bytes): give a file object at the start of a song.")
        file = os.fdopen(os.dup(copy.fileno()), "rb", buffering=0)
    try:
        return AudioSource(file, Path(song_name(source)), max_seconds)
    except BaseException:
        file.close()
        raise


def read_array(source: ArrayLike, rate: int) -> tuple[Waveform, tuple[str, ...]]:
    """Return an array as finite float32 ``[C, n]``, with warnings.

    16-bit and 32-bit integers become fractions of full scale; ``[n, 1]`` and ``[n, 2]`` are transposed if n is above 2.

    Raises:
        AudioError: the array has another shape or type, or ``rate`` is not 8 to 192 kHz.
    """
    if not MIN_RATE <= rate <= MAX_RATE:
        raise AudioError(f"Audio cannot have {rate} Hz: give a sample rate from {MIN_RATE} to {MAX_RATE} Hz.")
    array = _channels_first(_to_numpy(source))
    scale = _FULL_SCALE.get(array.dtype.str[1:])
    if scale is None and not np.issubdtype(array.dtype, np.floating):
        raise AudioError(
            f"An array of {array.dtype} is not audio: give floats, full scale being ±1, or int16 or int32."
        )
    with np.errstate(over="ignore", invalid="ignore"):  # a large 64-bit float becomes infinite
        samples = array.astype(np.float32)
    if scale is not None:
        samples *= np.float32(1 / scale)
    samples, unusable = cleaned(np.ascontiguousarray(samples))
    if not unusable:
        return samples, ()
    return samples, (
        f"{unusable} samples were not numbers (NaN or infinite) or out of range; they are set to zero.",
    )


def _to_numpy(source: Any) -> NDArray[Any]:
    """Convert an array without a copy where possible; a tensor of torch may have a gradient or be on a GPU."""
    if hasattr(source, "detach") and hasattr(source, "cpu"):
        source = source.detach().cpu()
    try:
        if not hasattr(source, "__array__") and hasattr(source, "__dlpack__"):
            return np.from_dlpack(source)
        if hasattr(source, "__array__"):
            return np.asarray(source)
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        raise AudioError(
            f"A {type(source).__name__} of this type cannot be read: convert it to float32 first."
        ) from error
    raise AudioError(
        f"A {type(source).__name__} is not a song: give a path, a binary file object, bytes, or an array of "
        "NumPy or torch."
    )


def _channels_first(array: NDArray[Any]) -> NDArray[Any]:
    if array.ndim == 1:
        array = array[None]
    if array.ndim == 3 and len(array) == 1:
        raise AudioError(
            f"An array of shape {array.shape} is not audio: pass array[0], without the batch axis."
        )
    if array.ndim != 2 or not array.size:
        raise AudioError(f"An array of shape {array.shape} is not audio: {_REMEDY}.")
    if len(array) > 2 and array.shape[1] <= 2:
        array = array.T
    if len(array) > 2:
        raise AudioError(
            f"An array of shape {array.shape} is not audio with one or two channels: {_REMEDY}; "
            "mix other channels down first."
        )
    return array
