"""A corpus of short songs: containers × damage. Generated with PyAV, soundfile and LAME, without the ffmpeg command."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import soundfile

from stemsplitter.audio.encode import StemWriter
from stemsplitter.audio.formats import OutputFormat

Samples = npt.NDArray[np.float32]

RATE = 48_000
SECONDS = 2
PEAK = 0.5
HOLES, CUTS = 40, 10


@dataclass(frozen=True)
class Kind:
    """A container with a codec. ``frame`` is the number of samples of its packets."""

    name: str
    codec: str
    frame: int
    write: Callable[[Path, Samples], None]
    # The file states its number of samples, so that a cut is detected.
    states_length: bool = True


def song(seconds: float = SECONDS, channels: int = 2) -> Samples:
    """Generate low-pass noise, which every codec preserves and in which gaps are audible."""
    white = np.random.default_rng(1).standard_normal((channels, round(seconds * RATE) + 32))
    smooth = np.stack([np.convolve(channel, np.hanning(33), "valid") for channel in white])
    return (smooth / np.abs(smooth).max() * PEAK).astype(np.float32)


def mux(
    codec: str, sample_format: str, rate: int = RATE, bit_rate: int | None = None, **options: str
) -> Callable[[Path, Samples], None]:
    """Return a function that encodes samples, taken to be at ``rate``, in the container of the file's suffix."""

    def write(path: Path, samples: Samples) -> None:
        scale, kept = {"s16": (2**15, "i2"), "s32": (2**31, "i4")}.get(
            sample_format.removesuffix("p"), (1, "f4")
        )
        data = np.clip(samples.astype(np.float64) * scale, -scale, scale - 1 if scale > 1 else 1).astype(kept)
        with av.open(str(path), "w", options=options) as container:
            stream = container.add_stream(codec, rate=rate, layout="stereo")
            stream.format = sample_format
            if bit_rate is not None:
                stream.bit_rate = bit_rate
            for start in range(0, data.shape[1], 4096):
                part = data[:, start : start + 4096]
                planar = sample_format.endswith("p")
                array = np.ascontiguousarray(part if planar else part.T.reshape(1, -1))
                frame = av.AudioFrame.from_ndarray(array, format=sample_format, layout="stereo")
                frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))

    return write


def _own(name: str) -> Callable[[Path, Samples], None]:
    def write(path: Path, samples: Samples) -> None:
        with StemWriter(path, OutputFormat.parse(name), RATE, 2) as writer:
            writer.write(samples)
            writer.commit()

    return write


def _libsndfile(kind: str, subtype: str) -> Callable[[Path, Samples], None]:
    def write(path: Path, samples: Samples) -> None:
        with soundfile.SoundFile(path, "w", RATE, 2, format=kind, subtype=subtype) as file:
            for start in range(0, samples.shape[1], 4096):
                file.write(np.ascontiguousarray(samples[:, start : start + 4096].T))

    return write


KINDS = {
    kind.name: kind
    for kind in (
        Kind("wav", "pcm", 1, _libsndfile("WAV", "PCM_16")),
        Kind("aiff", "pcm", 1, _libsndfile("AIFF", "PCM_24")),
        Kind("w64", "pcm", 4096, _libsndfile("W64", "PCM_16")),
        Kind("caf", "pcm", 4096, _libsndfile("CAF", "PCM_16")),
        Kind("au", "pcm", 4096, _libsndfile("AU", "PCM_16")),
        Kind("flac", "flac", 4096, _libsndfile("FLAC", "PCM_16")),
        Kind("av.flac", "flac", 4608, mux("flac", "s16")),
        Kind("mp3", "mp3", 1152, _own("mp3:192")),
        Kind("av.mp3", "mp3", 1152, mux("libmp3lame", "fltp")),
        Kind("aac", "aac", 1024, mux("aac", "fltp"), states_length=False),
        Kind("m4a", "aac", 1024, _own("m4a")),
        Kind("fast.m4a", "aac", 1024, mux("aac", "fltp", movflags="+faststart")),
        Kind("alac.m4a", "alac", 4096, mux("alac", "s16p", movflags="+faststart")),
        Kind("ogg", "vorbis", 2048, _own("ogg")),
        Kind("opus", "opus", 960, mux("libopus", "flt")),
        Kind("webm", "opus", 960, mux("libopus", "flt")),
        Kind("mka", "flac", 4608, mux("flac", "s16")),
        Kind("wv", "wavpack", RATE, mux("wavpack", "s16p")),
        Kind("tta", "tta", RATE * 256 // 245, mux("tta", "s16")),
        Kind("ac3", "ac3", 1536, mux("ac3", "fltp"), states_length=False),
    )
}


_PCM = "PCM has no checksum, and zeros are samples like any other"
# Kinds of which 50 zeroed bytes cannot be detected everywhere, and why.
UNDETECTED = {
    "wav": _PCM,
    "aiff": _PCM,
    "w64": _PCM,
    "caf": _PCM,
    "au": _PCM,
    "alac.m4a": "ALAC has no checksum, and codes quiet samples as zeros: most holes end in a syntax error, the others "
    "decode to samples up to full scale",
    "webm": "Opus and Matroska have no checksum, and every sequence of bits is valid Opus; a hole in the header of a "
    "block loses the rest of its cluster, up to 5 s",
}
# Codecs of which a few holes of the corpus cannot be detected: MPEG side information and AAC have no checksum either,
# and encoders pad AAC packets with zeros.
UNDETECTED_AT_MOST = {"mp3": 4, "aac": 4}


def encoded(kind: Kind, folder: Path) -> bytes:
    """Encode the song of the corpus as an undamaged file of that kind."""
    path = folder / f"whole.{kind.name}"
    if not path.exists():
        kind.write(path, song())
    return path.read_bytes()


def cuts(data: bytes) -> Iterator[tuple[float, bytes]]:
    """Yield the file cut at ten positions: the share that is left, and the bytes."""
    for number in range(1, CUTS + 1):
        share = number / (CUTS + 1)
        yield share, data[: int(len(data) * share)]


def holes(data: bytes, header: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield the file with 50 bytes zeroed at each of 40 positions after its header: the position, and the bytes."""
    for number in range(HOLES):
        at = header + (len(data) - header - 50) * number // (HOLES - 1)
        yield at, data[:at] + bytes(50) + data[at + 50 :]


def garbage(size: int, seed: int = 0) -> bytes:
    """Random bytes."""
    return np.random.default_rng(seed).integers(0, 256, size, np.uint8).tobytes()
