"""Binding to LAME through the C functions that lameenc's extension module exports.

lameenc's own Python class accepts 16-bit samples only and writes no LAME tag: its output clips and has no exact
length. The library itself accepts floats, writes the tag, and is several times as fast as PyAV's build.
"""

import ctypes
import functools
import importlib.util
from typing import Any

import numpy as np
import numpy.typing as npt

# From 256 kbit/s on, quality 7 has the error of the default 5 or less, in little more than half the time (figures in
# docs/formats.md).
_FAST_QUALITY, _QUALITY = 7, 5
_FAST_FROM_KBITS = 256
_MONO, _JOINT_STEREO = 3, 1
_CHUNK = 1152 * 64
# An assertion in LAME aborts the process on very large samples (observed at 1e10) and on NaN.
_LARGEST = 64.0
_MESSAGE_HANDLERS = ("lame_set_errorf", "lame_set_debugf", "lame_set_msgf")
_INTEGER_SETTERS = (
    "lame_set_in_samplerate",
    "lame_set_out_samplerate",
    "lame_set_num_channels",
    "lame_set_mode",
    "lame_set_brate",
    "lame_set_quality",
    "lame_set_bWriteVbrTag",
    "lame_set_write_id3tag_automatic",
)


@functools.cache
def _library() -> ctypes.CDLL | None:
    """Load LAME's functions; None if lameenc is missing or does not export them."""
    spec = importlib.util.find_spec("lameenc")
    if spec is None or spec.origin is None:
        return None
    handle, integer, buffer = ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p
    try:
        library = ctypes.CDLL(spec.origin)
        library.lame_init.restype = handle
        for name in _INTEGER_SETTERS:
            getattr(library, name).argtypes = [handle, integer]
        for name in _MESSAGE_HANDLERS:
            getattr(library, name).argtypes = [handle, ctypes.c_void_p]
        library.lame_init_params.argtypes = [handle]
        library.lame_close.argtypes = [handle]
        encode = library.lame_encode_buffer_ieee_float
        encode.argtypes = [handle, buffer, buffer, integer, buffer, integer]
        library.lame_encode_flush.argtypes = [handle, buffer, integer]
        library.lame_get_lametag_frame.argtypes = [handle, buffer, ctypes.c_size_t]
        library.lame_get_lametag_frame.restype = ctypes.c_size_t
    except (OSError, AttributeError):
        return None
    return library


def available() -> bool:
    """True if :class:`Lame` can be used on this system."""
    return _library() is not None


class Lame:
    """One MP3 stream at a constant bit rate. Encoding releases the GIL.

    The stream begins with a placeholder frame: write the bytes from :meth:`encode` and :meth:`flush`, then
    overwrite the first bytes with :meth:`info_frame`, which states the delay and padding.
    """

    def __init__(self, sample_rate: int, channels: int, bitrate: int) -> None:
        library = _library()
        if library is None:
            raise RuntimeError("lameenc does not export LAME's functions")
        self._library: Any = library
        self._channels = channels
        self._handle: int | None = library.lame_init()
        if not self._handle:
            raise MemoryError("LAME cannot be initialized")
        for name in _MESSAGE_HANDLERS:
            getattr(library, name)(self._handle, None)
        quality = _FAST_QUALITY if bitrate >= _FAST_FROM_KBITS else _QUALITY
        mode = _MONO if channels == 1 else _JOINT_STEREO
        values = (sample_rate, sample_rate, channels, mode, bitrate, quality, 1, 0)
        accepted = True
        for name, value in zip(_INTEGER_SETTERS, values, strict=True):
            accepted = accepted and getattr(library, name)(self._handle, value) >= 0
        if not accepted or library.lame_init_params(self._handle) < 0:
            self.close()
            raise ValueError(
                f"LAME cannot write {channels} channels at {sample_rate} Hz and {bitrate} kbit/s"
            )
        # lame.h: at most 1.25 bytes per sample, plus 7200
        self._buffer = ctypes.create_string_buffer(_CHUNK * 5 // 4 + 7200)

    def encode(self, block: npt.NDArray[np.float32]) -> bytes:
        """Encode finite float32 ``[channels, n]``, clipped at ±64. Returns the encoded bytes that are ready."""
        out = []
        for start in range(0, block.shape[1], _CHUNK):
            chunk = np.ascontiguousarray(block[:, start : start + _CHUNK], np.float32)
            chunk = np.clip(chunk, -_LARGEST, _LARGEST)
            left, right = chunk[0].ctypes.data, chunk[-1].ctypes.data
            size = self._library.lame_encode_buffer_ieee_float(
                self._handle, left, right, chunk.shape[1], self._buffer, len(self._buffer)
            )
            out.append(self._take(size))
        return b"".join(out)

    def flush(self) -> bytes:
        """Encode the remaining samples. Returns the last frames."""
        return self._take(self._library.lame_encode_flush(self._handle, self._buffer, len(self._buffer)))

    def info_frame(self) -> bytes:
        """The complete first frame; call after :meth:`flush`."""
        size = self._library.lame_get_lametag_frame(self._handle, self._buffer, len(self._buffer))
        return self._take(min(size, len(self._buffer)))

    def _take(self, size: int) -> bytes:
        if size < 0:
            raise RuntimeError(f"LAME failed with code {size}")
        return ctypes.string_at(self._buffer, size)

    def close(self) -> None:
        """Free the encoder. Idempotent."""
        if self._handle:
            self._library.lame_close(self._handle)
            self._handle = None
