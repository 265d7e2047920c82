"""Encoders used by :class:`~stemsplitter.audio.encode.StemWriter`: float32 blocks to an open file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, BinaryIO, Protocol, TypeVar

import av
import numpy as np
import numpy.typing as npt
import soundfile
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Disposition

from stemsplitter.audio import id3, lame
from stemsplitter.audio.comments import NAMES, PICTURE, comments, picture_comment
from stemsplitter.audio.cover import cover_size
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.mp4_boxes import change_last_movie, with_items
from stemsplitter.audio.ogg_comments import CommentWriter
from stemsplitter.audio.tags import BPM, KEY, Tags

Samples = npt.NDArray[np.float32]
_Result = TypeVar("_Result", int, bytes)

LAYOUTS = {1: "mono", 2: "stereo"}
# libsndfile puts all samples of a call on the stack: three minutes of audio overflow it.
_VORBIS_CHUNK = 8192
# libsndfile's quality is one minus the compression level: this is Vorbis quality 6.
_VORBIS_COMPRESSION = 0.4
_FLAC_LEVEL = "5"
_FRAME_SAMPLES = 1 << 16
_AIFF_BYTES = (1 << 32) - (1 << 20)  # sizes have 32 bits
_RIFF_BYTES = (1 << 32) - 1
_COMMENTS = (NAMES[BPM], NAMES[KEY])
# names of tempo and key, by muxer; WAV and AIFF have them in ID3 only
_NAMES = {"flac": _COMMENTS, "ogg": _COMMENTS, "mp3": (BPM, KEY), "mp4": ("tmpo",), "wav": (), "aiff": ()}


class Encoder(Protocol):
    """Encodes float32 ``[channels, n]`` blocks."""

    def write(self, block: Samples) -> None:
        """Encode a block."""

    def finish(self) -> None:
        """Write the remaining data and the final header."""

    def close(self) -> None:
        """Free the encoder's resources, finished or not."""


class OpenEncoder(Protocol):
    """Opens an encoder that writes to ``file``, which must be empty, readable and seekable."""

    def __call__(
        self, file: BinaryIO, fmt: OutputFormat, rate: int, channels: int, tags: Tags
    ) -> Encoder: ...


def quantize(block: Samples, bits: int) -> npt.NDArray[np.int16] | npt.NDArray[np.int32]:
    """Convert float samples to 16-bit, or to 24-bit in the upper bits of 32: rounded to nearest, saturated."""
    scale = np.float32(1 << (bits - 1))  # a power of two, so that the products are exact
    scaled: Samples = np.rint(block * scale)
    np.clip(scaled, -scale, scale - 1, out=scaled)
    return scaled.astype(np.int16) if bits == 16 else scaled.astype(np.int32) << 8


class AvTrack:
    """One audio track of an FFmpeg muxer: encodes blocks and muxes the packets."""

    def __init__(
        self,
        container: OutputContainer,
        codec: str,
        rate: int,
        channels: int,
        sample_format: str,
        start: int = 0,
    ) -> None:
        self._container = container
        self._rate = rate
        self._channels = channels
        self._format = sample_format
        self._at = start
        stream = container.add_stream(codec, rate=rate)
        assert isinstance(stream, AudioStream)
        self.stream = stream
        self.stream.codec_context.layout = LAYOUTS[channels]
        self.stream.codec_context.format = sample_format
        self.stream.codec_context.time_base = Fraction(1, rate)

    def write(self, samples: npt.NDArray[Any]) -> None:
        """Encode ``[channels, n]`` samples of the track's sample type."""
        for start in range(0, samples.shape[1], _FRAME_SAMPLES):
            part = samples[:, start : start + _FRAME_SAMPLES]
            planar = self._format.endswith("p")
            data = np.ascontiguousarray(part if planar else part.T.reshape(1, -1))
            frame = AudioFrame.from_ndarray(data, format=self._format, layout=LAYOUTS[self._channels])
            frame.sample_rate = self._rate
            frame.time_base = Fraction(1, self._rate)
            frame.pts = self._at
            self._at += part.shape[1]
            self._container.mux(self.stream.encode(frame))

    def finish(self) -> None:
        """Flush the encoder."""
        self._container.mux(self.stream.encode(None))


def add_cover(container: OutputContainer, tags: Tags) -> Packet[Any] | None:
    """Add a cover picture track; mux the returned packet before any audio."""
    if not tags.cover:
        return None
    width, height = cover_size(tags.cover)
    codec = "png" if tags.cover_mime == "image/png" else "mjpeg"
    stream = container.add_mux_stream(codec, width=width, height=height)
    stream.disposition = Disposition.attached_pic
    packet: Packet[Any] = Packet(tags.cover)
    packet.stream = stream
    packet.pts = packet.dts = 0
    return packet


class Sink:
    """File adapter for FFmpeg's muxers and libsndfile, which hides the name and is never closed by them.

    They lose exceptions of a file, or print them if closing raises again. The first exception is stored for
    :meth:`check`; later calls do nothing and report success.
    """

    def __init__(self, file: BinaryIO | CommentWriter) -> None:
        self._file = file
        self._error: OSError | None = None
        self.tell = file.tell

    def write(self, data: bytes) -> int:
        """Write; after a failure, only report success."""
        return self._try(lambda: self._file.write(data), len(data))

    def seek(self, offset: int, whence: int = 0) -> int:
        """Seek, which may write buffered data."""
        return self._try(lambda: self._file.seek(offset, whence), max(offset, 0))

    def read(self, size: int = -1) -> bytes:
        """Read, which may write buffered data."""
        return self._try(lambda: self._file.read(size), b"")

    def _try(self, work: Callable[[], _Result], pretended: _Result) -> _Result:
        if self._error is None:
            try:
                return work()
            except OSError as error:
                self._error = error
        return pretended

    def check(self) -> None:
        """Raise the first exception of the file, if any."""
        if self._error is not None:
            raise self._error


def open_muxer(sink: Sink, name: str, options: dict[str, str]) -> OutputContainer:
    """Open FFmpeg's muxer of that name; call ``sink.check`` after each use of it."""
    return av.open(sink, mode="w", format=name, options=options)


def mp4_options(rate: int) -> dict[str, str]:
    """Options of the MP4 muxer for a sample-accurate delay and length."""
    # The edit list states both in this unit; the default, one millisecond, is too coarse.
    return {"movie_timescale": str(rate), "brand": "M4A "}


def set_tags(container: OutputContainer, tags: Tags) -> None:
    """Set the text tags of a container before encoding starts; FFmpeg writes no key to MP4, see `mp4_boxes`."""
    texts = {
        "title": tags.title,
        "artist": tags.artist,
        "album": tags.album,
        "comment": tags.comment,
        **dict(zip(_NAMES[container.format.name], (tags.bpm, tags.key), strict=False)),
    }
    container.metadata.update({key: text for key, text in texts.items() if text})


@dataclass(frozen=True)
class AvSettings:
    """FFmpeg's names for a format: muxer and its options, codec and its options, sample format.

    ``start`` is the position of the first sample; an MP4 file begins at 0, and its edit list drops those before.
    """

    muxer: str
    codec: str
    sample_format: str
    muxer_options: dict[str, str] = field(default_factory=dict)
    codec_options: dict[str, str] = field(default_factory=dict)
    has_cover: bool = True
    start: int = 0


class AvEncoder:
    """An FFmpeg encoder and muxer."""

    def __init__(
        self, file: BinaryIO, fmt: OutputFormat, rate: int, channels: int, tags: Tags, settings: AvSettings
    ) -> None:
        self._bits = fmt.bits if fmt.is_integer else 0
        self._sink = Sink(file)
        self._container = open_muxer(self._sink, settings.muxer, settings.muxer_options)
        set_tags(self._container, tags)
        self._track = AvTrack(
            self._container, settings.codec, rate, channels, settings.sample_format, settings.start
        )
        if fmt.bitrate:
            self._track.stream.codec_context.bit_rate = fmt.bitrate * 1000
        if settings.codec_options:
            self._track.stream.codec_context.options = settings.codec_options
        self._cover = add_cover(self._container, tags) if settings.has_cover else None

    def set_comment(self, key: str, text: str) -> None:
        """Set a tag, before the first block."""
        self._container.metadata[key] = text

    def _begin(self) -> None:
        self._container.start_encoding()
        if self._cover is not None:
            self._container.mux(self._cover)
            self._cover = None

    def write(self, block: Samples) -> None:
        self._begin()
        self._track.write(quantize(block, self._bits) if self._bits else block)
        self._sink.check()

    def finish(self) -> None:
        self._begin()
        self._track.finish()
        self._container.close()
        self._sink.check()

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self._container.close()


class Mp4Encoder(AvEncoder):
    """An FFmpeg encoder with the MP4 muxer, which has no key of songs: it is added to the finished file."""

    def __init__(
        self, file: BinaryIO, fmt: OutputFormat, rate: int, channels: int, tags: Tags, settings: AvSettings
    ) -> None:
        super().__init__(file, fmt, rate, channels, tags, settings)
        self._file, self._key = file, tags.key

    def finish(self) -> None:
        super().finish()
        if self._key:
            change_last_movie(self._file, lambda movie: with_items(movie, {KEY: self._key}))


class AiffEncoder:
    """AIFF written by FFmpeg, followed by an ``ID3`` chunk, because PyAV adds no cover to AIFF."""

    def __init__(self, file: BinaryIO, fmt: OutputFormat, rate: int, channels: int, tags: Tags) -> None:
        sample_format = "s16" if fmt.bits == 16 else "s32"
        settings = AvSettings("aiff", f"pcm_s{fmt.bits}be", sample_format, has_cover=False)
        self._file, self._tag = file, id3.tag(tags)
        self._encoder = AvEncoder(file, fmt, rate, channels, Tags(), settings)

    def write(self, block: Samples) -> None:
        self._encoder.write(block)
        if self._file.tell() + len(self._tag) > _AIFF_BYTES:
            raise ValueError("an AIFF file cannot exceed 4 GiB")

    def finish(self) -> None:
        self._encoder.finish()
        size = self._file.seek(0, 2)
        if self._tag:
            padded = self._tag + bytes(len(self._tag) % 2)
            self._file.write(b"ID3 " + len(self._tag).to_bytes(4) + padded)
            self._file.seek(4)
            self._file.write((size + len(padded)).to_bytes(4))  # the FORM chunk, without its own header
            self._file.seek(0, 2)

    def close(self) -> None:
        self._encoder.close()


class WavEncoder:
    """WAV written by FFmpeg, RF64 (EBU Tech 3306) from 4 GiB on; all tags follow in an ``id3 `` chunk, too."""

    def __init__(self, file: BinaryIO, fmt: OutputFormat, rate: int, channels: int, tags: Tags) -> None:
        codec = "pcm_f32le" if fmt.is_float else f"pcm_s{fmt.bits}le"
        sample_format = "flt" if fmt.is_float else "s16" if fmt.bits == 16 else "s32"
        settings = AvSettings("wav", codec, sample_format, {"rf64": "auto"}, has_cover=False)
        self._file = file
        self._tag = id3.tag(tags)  # many programs read only one of both kinds of tags
        self._encoder = AvEncoder(file, fmt, rate, channels, tags, settings)

    def write(self, block: Samples) -> None:
        self._encoder.write(block)

    def finish(self) -> None:
        self._encoder.finish()
        if not self._tag:
            return
        padded = self._tag + bytes(len(self._tag) % 2)
        chunk = b"id3 " + len(self._tag).to_bytes(4, "little") + padded
        size = self._file.seek(0, 2) + len(chunk) - 8
        if size > _RIFF_BYTES:
            return  # RF64 states the size elsewhere, and few programs read it: leave the chunk out
        self._file.write(chunk)
        self._file.seek(4)
        self._file.write(size.to_bytes(4, "little"))
        self._file.seek(0, 2)

    def close(self) -> None:
        self._encoder.close()


class Mp3Encoder:
    """MP3 encoded by LAME: the LAME tag in the first frame states the delay and the exact length."""

    def __init__(self, file: BinaryIO, fmt: OutputFormat, rate: int, channels: int, tags: Tags) -> None:
        self._file = file
        self._lame = lame.Lame(rate, channels, fmt.bitrate)
        file.write(id3.tag(tags))
        self._start = file.tell()

    def write(self, block: Samples) -> None:
        self._file.write(self._lame.encode(block))

    def finish(self) -> None:
        self._file.write(self._lame.flush())
        self._file.seek(self._start)
        self._file.write(self._lame.info_frame())
        self._file.seek(0, 2)

    def close(self) -> None:
        self._lame.close()


class VorbisEncoder:
    """Ogg Vorbis encoded by libvorbis through libsndfile: PyAV's wheels have only FFmpeg's poor encoder.

    libsndfile writes neither covers nor tempo and key: all tags are added to the header on its way to the file.
    """

    def __init__(self, file: BinaryIO, rate: int, channels: int, tags: Tags) -> None:
        self._tagged = CommentWriter(file, comments(tags))
        self._file = Sink(self._tagged)
        self._sound = soundfile.SoundFile(
            self._file,
            "w",
            samplerate=rate,
            channels=channels,
            format="OGG",
            subtype="VORBIS",
            compression_level=_VORBIS_COMPRESSION,
        )

    def write(self, block: Samples) -> None:
        for start in range(0, block.shape[1], _VORBIS_CHUNK):
            self._sound.write(np.ascontiguousarray(block[:, start : start + _VORBIS_CHUNK].T))
            self._file.check()

    def finish(self) -> None:
        self._sound.close()
        self._file.check()
        self._tagged.finish()

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self._sound.close()


def open_wav(file: BinaryIO, fmt: OutputFormat, rate: int, channels: int, tags: Tags) -> Encoder:
    """Open a WAV encoder."""
    return WavEncoder(file, fmt, rate, channels, tags)


def open_flac(file: BinaryIO, fmt: OutputFormat, rate: int, channels: int, tags: Tags) -> Encoder:
    """Open a FLAC encoder."""
    sample_format = "s16" if fmt.bits == 16 else "s32"
    settings = AvSettings("flac", "flac", sample_format, codec_options={"compression_level": _FLAC_LEVEL})
    return AvEncoder(file, fmt, rate, channels, tags, settings)


def open_mp3(file: BinaryIO, fmt: OutputFormat, rate: int, channels: int, tags: Tags) -> Encoder:
    """Open LAME, or PyAV's build of it if lameenc does not export LAME's functions."""
    if lame.available():
        return Mp3Encoder(file, fmt, rate, channels, tags)
    settings = AvSettings("mp3", "libmp3lame", "fltp", {"id3v2_version": "4"})
    return AvEncoder(file, fmt, rate, channels, tags, settings)


def open_m4a(file: BinaryIO, fmt: OutputFormat, rate: int, channels: int, tags: Tags) -> Encoder:
    """Open FFmpeg's AAC encoder with the MP4 muxer."""
    settings = AvSettings("mp4", "aac", "fltp", mp4_options(rate))
    return Mp4Encoder(file, fmt, rate, channels, tags, settings)


def open_opus(file: BinaryIO, fmt: OutputFormat, rate: int, channels: int, tags: Tags) -> Encoder:
    """Open libopus with the Ogg muxer (RFC 7845)."""
    settings = AvSettings("ogg", "libopus", "flt", has_cover=False)
    encoder = AvEncoder(file, fmt, rate, channels, tags, settings)
    if tags.cover:
        encoder.set_comment(PICTURE, picture_comment(tags))
    return encoder


def open_aiff(file: BinaryIO, fmt: OutputFormat, rate: int, channels: int, tags: Tags) -> Encoder:
    """Open an AIFF encoder, which stores tags and cover as ID3."""
    return AiffEncoder(file, fmt, rate, channels, tags)


def open_alac(file: BinaryIO, fmt: OutputFormat, rate: int, channels: int, tags: Tags) -> Encoder:
    """Open FFmpeg's Apple Lossless encoder with the MP4 muxer."""
    sample_format = "s16p" if fmt.bits == 16 else "s32p"
    return Mp4Encoder(
        file, fmt, rate, channels, tags, AvSettings("mp4", "alac", sample_format, mp4_options(rate))
    )


def open_vorbis(file: BinaryIO, fmt: OutputFormat, rate: int, channels: int, tags: Tags) -> Encoder:
    """Open a libvorbis encoder."""
    return VorbisEncoder(file, rate, channels, tags)
