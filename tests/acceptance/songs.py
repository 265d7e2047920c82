"""Synthetic songs of a few seconds, encoded in any format."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from stemsplitter.audio.decode import open_source

Samples = npt.NDArray[np.float32]

TAGS = {"title": "Ein Lied", "artist": "Wir", "album": "Die Platte"}

# sample format, NumPy type and full scale of FFmpeg's encoders that do not accept planar float
_FORMATS = {
    **dict.fromkeys(["pcm_s16le", "pcm_s16be", "flac"], ("s16", "i2", 1 << 15)),
    **dict.fromkeys(["pcm_s24le", "pcm_s24be", "pcm_s32le"], ("s32", "i4", 1 << 31)),
    "alac": ("s16p", "i2", 1 << 15),
    "pcm_u8": ("u8", "u1", 1 << 7),
    "pcm_f32le": ("flt", "f4", 1),
    "pcm_f64le": ("dbl", "f8", 1),
    "libopus": ("flt", "f4", 1),
}


def sung(samples: int, channels: int = 2, rate: int = 44_100) -> Samples:
    """Synthesize a sung vowel, a bass and drums: `[channels, samples]`, peaks of at most 0.6."""
    time = np.arange(samples) / rate
    phase = 2 * np.pi * np.cumsum(220 * (1 + 0.01 * np.sin(2 * np.pi * 5 * time))) / rate
    voice = np.zeros(samples)
    for harmonic in range(1, 16):
        frequency = 220.0 * harmonic
        if frequency < rate / 2:
            formants = sum(np.exp(-(((frequency - peak) / 200) ** 2)) for peak in (700, 1200, 2500))
            voice += (0.1 + formants) * np.sin(harmonic * phase) / harmonic
    noise = np.random.default_rng(samples).standard_normal(samples)
    drums = noise * np.exp(-(time % 0.5) / 0.03)
    bass = np.sin(2 * np.pi * 55 * time)
    sides = np.linspace(0.7, 1, channels)[:, None]  # all channels differ
    song = 0.3 * voice + 0.2 * drums * sides + 0.15 * bass * sides[::-1]
    loudest = np.abs(song).max(initial=0)
    return (song * (0.6 / max(loudest, 0.6))).astype(np.float32)


def encode(
    path: Path, samples: Samples, rate: int, codec: str, layout: str = "", video: str = "", **tags: str
) -> Path:
    """Encode samples `[channels, n]` with FFmpeg's defaults; `video` names the encoder of an added video track."""
    layout = layout or {1: "mono", 2: "stereo"}[len(samples)]
    with av.open(str(path), "w") as container:
        container.metadata.update(tags)
        picture = _add_video(container, video) if video else None
        stream = container.add_stream(codec, rate=rate)
        kind, kept, scale = _FORMATS.get(codec, ("fltp", "f4", 1))
        stream.layout, stream.format = layout, kind
        if picture:
            _encode_video(container, picture, samples.shape[1] / rate)
        values = np.rint(samples.astype(np.float64) * scale) if scale > 1 else samples
        if kept == "u1":
            values = values + 128
        for start in range(0, samples.shape[1], 4096):
            part = values[:, start : start + 4096].astype(kept)
            array = np.ascontiguousarray(part if kind.endswith("p") else part.T.reshape(1, -1))
            frame = av.AudioFrame.from_ndarray(array, format=kind, layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _add_video(container: Any, codec: str) -> Any:
    stream = container.add_stream(codec, rate=10)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    return stream


def _encode_video(container: Any, stream: Any, seconds: float) -> None:
    for number in range(round(seconds * 10)):
        frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 10 * number % 256, np.uint8), format="rgb24")
        frame.pts, frame.time_base = number, Fraction(1, 10)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def read(path: Path, **options: Any) -> tuple[Samples, int]:
    """Decode a file to `[channels, n]` and its sample rate."""
    with open_source(path, **options) as source:
        return np.concatenate(list(source.blocks()), axis=1), source.info.sample_rate


def dbfs(samples: npt.NDArray[Any]) -> float:
    """Peak in decibels relative to full scale."""
    return 20 * float(np.log10(max(float(np.abs(samples).max(initial=0)), 1e-10)))
