"""Signals and files for the audio tests."""

import contextlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from stemsplitter.audio.decode import open_source
from stemsplitter.audio.encode import StemWriter
from stemsplitter.audio.formats import OutputFormat

from ..full_disk import limit_file_size

Samples = npt.NDArray[np.float32]

# Sample format of each encoder (planar float by default), and the type and full scale of each format.
_FORMATS = {
    "alac": "s32p",
    "flac": "s32",
    "libopus": "flt",
    "pcm_f32le": "flt",
    "pcm_f64le": "dbl",
    "pcm_s16le": "s16",
    "pcm_s24be": "s32",
    "pcm_s32le": "s32",
    "pcm_u8": "u8",
}
_TYPES = {"flt": ("f4", 1), "dbl": ("f8", 1), "s16": ("i2", 2**15), "s32": ("i4", 2**31), "u8": ("u1", 2**7)}


def _noise(samples: int, channels: int = 2, *, seed: int = 0) -> Samples:
    """Low-pass noise with a peak of 0.5, which every codec preserves and whose autocorrelation has one peak."""
    white = np.random.default_rng(seed).standard_normal((channels, samples + 32))
    window = np.hanning(33)
    smooth = np.stack([np.convolve(channel, window, "valid") for channel in white])
    return (smooth / np.abs(smooth).max() / 2).astype(np.float32)


def _offset(reference: Samples, other: Samples) -> int:
    """Delay of ``other`` against ``reference`` in samples: the peak of their cross-correlation."""
    length = 1 << (reference.shape[1] + other.shape[1]).bit_length()
    spectrum = np.fft.rfft(other[0], length) * np.conj(np.fft.rfft(reference[0], length))
    at = int(np.argmax(np.fft.irfft(spectrum, length)))
    return at if at < length // 2 else at - length


def _decode(path: Path, **options: Any) -> Samples:
    """Decode a whole file; fail on a warning."""
    with open_source(path, **options) as source:
        blocks = list(source.blocks())
    assert source.warnings == []
    samples = np.concatenate(blocks, axis=1)
    assert source.samples == samples.shape[1]
    return samples


def _mux(path: Path, samples: Samples, rate: int, codec: str, layout: str = "stereo") -> Path:
    """Write a file with FFmpeg's muxers and encoders and their default options."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.layout = layout
        stream.format = kind = _FORMATS.get(codec, "fltp")
        kept, scale = _TYPES[kind.removesuffix("p")]
        data = (np.rint(samples.astype(np.float64) * scale) if scale > 1 else samples).astype(kept)
        for start in range(0, samples.shape[1], 4096):
            part = data[:, start : start + 4096]
            array = np.ascontiguousarray(part if kind.endswith("p") else part.T.reshape(1, -1))
            frame = av.AudioFrame.from_ndarray(array, format=kind, layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _write(path: Path, samples: Samples, fmt: str = "wav32f", rate: int = 44100) -> Path:
    """Write a file with the writer under test."""
    with StemWriter(path, OutputFormat.parse(fmt), rate, samples.shape[0]) as writer:
        writer.write(samples)
        writer.commit()
    return path


def _picture(codec: str) -> bytes:
    """Encode a black picture of 48 by 32 pixels as ``png`` or ``mjpeg``."""
    context = av.CodecContext.create(codec, "w")
    context.width, context.height, context.time_base = 48, 32, Fraction(1)
    context.pix_fmt = "rgb24" if codec == "png" else "yuvj420p"
    if codec == "mjpeg":
        context.color_range = 2
    frame = av.VideoFrame.from_ndarray(np.zeros((32, 48, 3), np.uint8), format="rgb24")
    frame = frame.reformat(format=context.pix_fmt)
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])


@pytest.fixture
def noise() -> Callable[..., Samples]:
    return _noise


@pytest.fixture
def offset() -> Callable[[Samples, Samples], int]:
    return _offset


@pytest.fixture
def decode() -> Callable[..., Samples]:
    return _decode


@pytest.fixture
def mux() -> Callable[..., Path]:
    return _mux


@pytest.fixture
def write() -> Callable[..., Path]:
    return _write


@pytest.fixture
def picture() -> Callable[[str], bytes]:
    return _picture


@pytest.fixture
def file_size_limit() -> Callable[[int], contextlib.AbstractContextManager[None]]:
    return limit_file_size
