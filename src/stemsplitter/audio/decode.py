"""Reading a song: any common audio or video file to float32 blocks, in bounded memory.

FFmpeg (through PyAV) does the work but never opens anything itself: it reads one file through a Python
object, knows no other, and may use only the demuxers and audio decoders listed here, so that playlists,
``concat:`` or ``http:`` references and the like are not followed.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NoReturn

import av
import av.error
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream

from stemsplitter.audio.downmix import to_channels
from stemsplitter.audio.gapless import EndTrim, mp3_states_length
from stemsplitter.audio.tags import Tags, read_tags
from stemsplitter.errors import AudioError
from stemsplitter.files.names import shown

Samples = npt.NDArray[np.float32]

BLOCK_SAMPLES = 1 << 16
MAX_CHANNELS = 8
MIN_RATE, MAX_RATE = 8_000, 192_000

_CONTAINERS = (
    "aac,ac3,aiff,ape,asf,au,avi,caf,eac3,flac,flv,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mp3,mpeg,mpegts,ogg,"
    "tta,w64,wav,wv"
)
_CODECS = ",".join(
    [
        *("aac", "ac3", "adpcm_ima_qt", "adpcm_ima_wav", "adpcm_ms", "alac", "ape", "dca", "eac3", "flac"),
        *("mp1float", "mp2float", "mp3float", "mp3", "opus", "tta", "vorbis", "wavpack", "wmapro", "wmav1"),
        *("wmav2", "wmalossless"),
        *sorted(name for name in av.codecs_available if name.startswith("pcm_")),
    ]
)
# Containers whose header does not tell the length: FFmpeg guesses it from the first bit rate seen, which in a
# file of variable bit rate can be ten times too much.
_GUESSED_LENGTH = {"aac", "ac3", "eac3", "mp3", "mpeg", "mpegts"}
_BARE_FRAMES = {".aac", ".ac3", ".mp3"}
_GUESS_FACTOR = 10
_FULL_SCALE = {"u1": 2.0**7, "i2": 2.0**15, "i4": 2.0**31}
_MAX_COVER = 16 << 20
_READABLE = "choose a wav, flac, mp3, ogg, opus, m4a, aiff, mp4, webm or mkv file"


@dataclass(frozen=True)
class AudioInfo:
    """What a source is. ``seconds`` is what its header says, an estimate, or None.

    ``channels`` (1 or 2) is what blocks have, ``source_channels`` what the file has; the rate is in Hz.
    """

    sample_rate: int
    channels: int
    source_channels: int
    codec: str
    container: str
    seconds: float | None
    tags: Tags


class _LocalFile:
    """The file as FFmpeg sees it: bytes, without the name and close method it would otherwise make use of.

    Only an ending that helps to recognise a very short file of bare frames is passed on.
    """

    def __init__(self, file: IO[bytes], suffix: str) -> None:
        self.name = f"source{suffix}" if suffix in _BARE_FRAMES else "source"
        self.read = file.read
        self.seek = file.seek
        self.tell = file.tell


def _refuse_to_open(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    raise PermissionError("a source may not refer to other files")


def _open_regular(path: Path) -> IO[bytes]:
    name = shown(path)
    try:
        # Not blocking: the name may be a pipe that nobody writes to.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise AudioError(f"There is no file {name}: check the path.") from error
    except PermissionError as error:
        raise AudioError(f"{name} cannot be read: you have no permission to open it.") from error
    except (OSError, ValueError) as error:
        raise AudioError(f"{name} cannot be opened: {getattr(error, 'strerror', None) or error}.") from error
    kind = os.fstat(descriptor)
    if stat.S_ISREG(kind.st_mode) and kind.st_size:
        return os.fdopen(descriptor, "rb", buffering=0)
    os.close(descriptor)
    if stat.S_ISDIR(kind.st_mode):
        raise AudioError(f"{name} is a folder: name a file in it.")
    if stat.S_ISREG(kind.st_mode):
        raise AudioError(f"{name} is empty (0 bytes): copy or download it again.")
    raise AudioError(f"{name} is not a regular file: {_READABLE}.")


def _duration(seconds: float) -> str:
    """A length for a message: ``24 h 0 min``, ``3 min 20 s``."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{seconds:.3g} s"


def _samples(frame: AudioFrame) -> Samples:
    """A frame as float32 ``[channels, n]``; integers become fractions of full scale."""
    data: npt.NDArray[Any] = frame.to_ndarray()
    scale = _FULL_SCALE.get(data.dtype.str[1:])
    if data.dtype == np.uint8:
        data = data.astype(np.int16) - 128
    if not frame.format.is_planar:
        data = data.reshape(-1, frame.layout.nb_channels).T
    with np.errstate(over="ignore", invalid="ignore"):  # a 64-bit float may not fit: it becomes infinite
        samples = np.ascontiguousarray(data, dtype=np.float32)
    return samples if scale is None else samples * np.float32(1 / scale)


class AudioSource:
    """A song being read. Make one with :func:`open_source`; use it as a context manager.

    ``info`` tells what it is, ``samples`` how many samples per channel :meth:`blocks` has given so far, and
    ``warnings`` (complete when the blocks are) what was odd about it, one sentence each.
    """

    info: AudioInfo

    def __init__(
        self, file: IO[bytes], path: Path, max_seconds: float | None, track: int | None = None
    ) -> None:
        self.samples = 0
        self.warnings: list[str] = []
        self._name = shown(path)
        self._suffix = path.suffix.lower()
        self._max_seconds = max_seconds
        self._damaged = 0
        self._not_finite = 0
        self._file = file
        self._xing = mp3_states_length(file)
        self._container = self._open_container()
        try:
            self._stream = self._audio_stream(track)
            self._check_header()
            self._cover: bytes | None = None
            self._packets = self._read_packets()
            self._end = EndTrim(self._container.format.name, self._stream)
            self._frames = self._decode()
            self._first = next(self._frames, None)
            self.info = self._describe()
        except BaseException:
            self.close()
            raise

    def _open_container(self) -> InputContainer:
        options = {"format_whitelist": _CONTAINERS, "codec_whitelist": _CODECS, "protocol_whitelist": "none"}
        try:
            return av.open(
                _LocalFile(self._file, self._suffix),
                mode="r",
                options=options,
                io_open=_refuse_to_open,
                metadata_errors="replace",
                buffer_size=1 << 18,
            )
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise AudioError(f"{self._name} is not audio that can be read: {_READABLE}.") from error

    def _audio_stream(self, track: int | None) -> AudioStream:
        tracks = self._container.streams.audio[track or 0 :]
        if not tracks:
            number = "" if track is None else f" with the number {track}"
            raise AudioError(f"{self._name} has no audio track{number}: {_READABLE}.")
        best = self._container.streams.best("audio") if track is None else None
        return best if isinstance(best, AudioStream) else tracks[0]

    def _check_header(self) -> None:
        try:
            context = self._stream.codec_context
            channels = context.channels
        except (AttributeError, av.error.FFmpegError) as error:
            raise AudioError(f"{self._name} has an audio track of an unknown kind: {_READABLE}.") from error
        if channels > MAX_CHANNELS:
            raise AudioError(
                f"{self._name} has {channels} channels, more than the {MAX_CHANNELS} that can be read: "
                "mix it down first."
            )
        seconds = self._header_seconds()
        if self._max_seconds is None or seconds is None:
            return
        factor = _GUESS_FACTOR if self._length_is_guessed() else 1
        if seconds > self._max_seconds * factor:
            self._refuse_length(f"lasts about {_duration(seconds)}")

    def _length_is_guessed(self) -> bool:
        name = self._container.format.name
        return name in _GUESSED_LENGTH and not (name == "mp3" and self._xing)

    def _refuse_length(self, what: str) -> NoReturn:
        assert self._max_seconds is not None
        raise AudioError(
            f"{self._name} {what}, over the limit of {_duration(self._max_seconds)}: "
            "cut it or raise the limit."
        )

    def _header_seconds(self) -> float | None:
        stream = self._stream
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        return self._container.duration / av.time_base if self._container.duration else None

    def _read_packets(self) -> Iterator[Packet[Any]]:
        """The track's packets. A cover picture, which FFmpeg gives as a packet before them, is put aside."""
        pictures = [s for s in self._container.streams.video if s.disposition & Disposition.attached_pic]
        streams: list[Stream] = [self._stream, *pictures[:1]]
        packets = self._container.demux(*streams)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.error.FFmpegError, OSError, ValueError):
                self._damaged += 1
                return
            if packet.stream is self._stream:
                yield packet
            elif self._cover is None and 0 < packet.size <= _MAX_COVER:
                self._cover = bytes(packet)

    def _decode(self) -> Iterator[AudioFrame]:
        for packet in self._packets:
            if packet.is_corrupt:
                self._damaged += 1
            self._end.see(packet)
            try:
                frames = self._stream.codec_context.decode(packet)
            except (av.error.FFmpegError, ValueError):
                self._damaged += 1
                continue
            yield from (frame for frame in frames if frame.samples)

    def _describe(self) -> AudioInfo:
        frame = self._first
        if frame is None:
            what = "is damaged and none of it can be decoded" if self._damaged else "holds no audio samples"
            raise AudioError(f"{self._name} {what}: export or download it again.")
        rate, channels = frame.sample_rate, frame.layout.nb_channels
        if not MIN_RATE <= rate <= MAX_RATE:
            raise AudioError(
                f"{self._name} has a sample rate of {rate} Hz, outside the 8000 to 192000 that can be read: "
                "resample it first."
            )
        return AudioInfo(
            sample_rate=rate,
            channels=min(channels, 2),
            source_channels=channels,
            codec=self._stream.codec_context.name.removesuffix("float"),
            container=self._container.format.name.partition(",")[0],
            seconds=self._header_seconds(),
            tags=read_tags(self._container, self._stream, self._cover),
        )

    def _converted(self) -> Iterator[Samples]:
        """The decoded frames as delivered samples, before the end is trimmed."""
        frame = self._first
        self._first = None
        while frame is not None:
            if frame.sample_rate != self.info.sample_rate:
                raise AudioError(
                    f"{self._name} changes its sample rate midway, from {self.info.sample_rate} to "
                    f"{frame.sample_rate} Hz: convert it to one rate first."
                )
            if frame.layout.nb_channels > MAX_CHANNELS:
                raise AudioError(
                    f"{self._name} changes midway to {frame.layout.nb_channels} channels: convert it first."
                )
            names = tuple(channel.name for channel in frame.layout.channels)
            yield to_channels(_samples(frame), names, self.info.channels)
            frame = next(self._frames, None)

    def _trimmed(self) -> Iterator[Samples]:
        for samples in self._converted():
            yield from self._end.hold(samples)
        yield from self._end.release()

    def blocks(self, block_samples: int = BLOCK_SAMPLES) -> Iterator[Samples]:
        """The song as C-contiguous float32 blocks ``[channels, n]`` at its own rate, once.

        Every block has ``block_samples`` samples but the last, which may have fewer. Nothing is scaled or
        clipped (full scale is ±1 and may be exceeded); NaN and infinite samples become zero.

        Raises :class:`AudioError` when more than ``max_seconds`` come, or the sample rate changes midway.
        """
        limit = None if self._max_seconds is None else self._max_seconds * self.info.sample_rate
        block = np.empty((self.info.channels, block_samples), np.float32)
        filled = 0
        for samples in self._trimmed():
            done = 0
            while done < samples.shape[1]:
                count = min(block_samples - filled, samples.shape[1] - done)
                block[:, filled : filled + count] = samples[:, done : done + count]
                filled += count
                done += count
                if limit is not None and self.samples + filled > limit:
                    self._refuse_length("goes on")
                if filled == block_samples:
                    yield self._deliver(block)
                    block = np.empty_like(block)
                    filled = 0
        if filled:
            yield self._deliver(np.ascontiguousarray(block[:, :filled]))
        self._finish()

    def _deliver(self, block: Samples) -> Samples:
        self.samples += block.shape[1]
        finite = np.isfinite(block)
        if not finite.all():
            self._not_finite += block.size - int(np.count_nonzero(finite))
            block[~finite] = 0
        return block

    def _finish(self) -> None:
        if not self.samples:
            raise AudioError(f"{self._name} holds no audio samples: export or download it again.")
        if self._not_finite:
            self.warnings.append(
                f"{self._not_finite} samples were not numbers (NaN or infinite) and are taken as zero."
            )
        if self._damaged:
            self.warnings.append(
                f"The file is damaged or cut short (bad packets: {self._damaged}); what could be decoded is used."
            )
        expected = self.info.seconds
        seconds = self.samples / self.info.sample_rate
        if expected is not None and not self._length_is_guessed() and expected > seconds + 0.1:
            self.warnings.append(
                f"The file ends after {_duration(seconds)} although its header says {_duration(expected)}; "
                "it may be cut short."
            )

    def close(self) -> None:
        """Close the file. Harmless a second time."""
        container = getattr(self, "_container", None)
        if container is not None:
            with contextlib.suppress(av.error.FFmpegError, OSError):
                container.close()
        self._file.close()

    def __enter__(self) -> AudioSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_source(
    path: str | os.PathLike[str], *, max_seconds: float | None = None, track: int | None = None
) -> AudioSource:
    """Open a song on disk. ``path`` is always a file's path, never a URL or protocol.

    ``track`` is the number of the audio track to read, from 0; by default the one FFmpeg thinks best.

    Gapless information is honoured: the encoder delay and padding of LAME and iTunes, Opus pre-skip, the end
    positions of Ogg, the edit lists of MP4. Up to 8 channels are mixed down to stereo
    (:func:`~stemsplitter.audio.downmix.stereo_matrix`); mono stays mono.

    Raises :class:`AudioError` when the file cannot be read, holds no audio, has more than 8 channels, has a
    sample rate outside 8 to 192 kHz, or is longer than ``max_seconds``.
    """
    path = Path(path)
    file = _open_regular(path)
    try:
        return AudioSource(file, path, max_seconds, track)
    except BaseException:
        file.close()
        raise
