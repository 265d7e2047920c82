"""Decoded pieces of a track, with silence in place of damage.

Decoders that verify checksums (FLAC, WavPack and others) reject a damaged packet instead of decoding it to noise.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import av
import av.error
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.packet import Packet

from stemsplitter.audio.downmix import channel_names

Samples = npt.NDArray[np.float32]

_FULL_SCALE = {"u1": 2.0**7, "i2": 2.0**15, "i4": 2.0**31, "i8": 2.0**63}
_CHECKED = {"flac", "wavpack", "tta", "ape", "ac3", "eac3", "mp3float", "mp3", "mp2float", "mp1float"}
MAX_COVER = 16 << 20


@dataclass
class Damage:
    """Defects of a track found during decoding."""

    packets: int = 0
    silence_s: float = 0.0
    skipped_bytes: int = 0
    unused_bytes: int = 0
    missing_s: float = 0.0
    is_cut: bool = False

    def sentences(self, seconds: float) -> list[str]:
        """Format the warnings; ``seconds`` is the decoded length."""
        warnings: list[str] = []
        if self.silence_s:
            warnings.append(
                f"The file is damaged (bad packets: {self.packets}); {self.silence_s:.2g} s of it are silent."
            )
        elif self.packets:
            warnings.append(
                f"The file is damaged (bad packets: {self.packets}); what could be decoded is used."
            )
        if self.skipped_bytes:
            warnings.append(
                f"The file is damaged: {self.skipped_bytes} bytes that are not audio were skipped."
            )
        if self.unused_bytes:
            warnings.append(
                f"{self.unused_bytes} bytes follow the audio that the header states; they are not used."
            )
        if self.missing_s:
            warnings.append(
                f"The file ends after {seconds:.3g} s although its header states {self.missing_s:.2g} s more; it may "
                "be cut short."
            )
        elif self.is_cut:
            warnings.append("The file ends inside a packet; it may be cut short.")
        return warnings


@dataclass(frozen=True)
class Piece:
    """Samples ``[channels, n]`` at ``rate`` Hz in the order of ``names``; ``is_silent`` in place of damage."""

    samples: Samples
    rate: int
    names: tuple[str, ...]
    is_silent: bool = False

    def cut(self, start: int, end: int) -> Piece:
        return Piece(self.samples[:, start:end], self.rate, self.names, self.is_silent)


@dataclass
class _Shape:
    """Sample rate and channels of the last frame, used for silence."""

    rate: int = 0
    names: tuple[str, ...] = ()
    packet_samples: int = 0

    def silence(self, samples: int) -> Piece:
        return Piece(np.zeros((len(self.names), samples), np.float32), self.rate, self.names, True)


# the loudest songs overshoot by less than 6 dB
LARGEST_LOSSY = 8.0
# codecs whose samples may have any scale
_LOSSLESS = ("pcm_", "wavpack")


@dataclass
class Trimmer:
    """Drops the first ``start`` samples of a song and delays ``end`` samples until its end is known."""

    start: int = 0
    end: int = 0
    _held: deque[Piece] = field(default_factory=deque)
    _count: int = 0

    def push(self, piece: Piece) -> Iterator[Piece]:
        dropped = min(self.start, piece.samples.shape[1])
        self.start -= dropped
        piece = piece.cut(dropped, piece.samples.shape[1])
        self._held.append(piece)
        self._count += piece.samples.shape[1]
        while self._held and self._count - self._held[0].samples.shape[1] >= self.end:
            self._count -= self._held[0].samples.shape[1]
            yield self._held.popleft()

    def finish(self, *, drop: bool) -> Iterator[Piece]:
        keep = self._count - self.end if drop else self._count
        while self._held:
            piece = self._held.popleft()
            if keep > 0:
                yield piece.cut(0, keep)
            keep -= piece.samples.shape[1]
        self._count = 0


def to_samples(frame: AudioFrame) -> Samples:
    """Convert a frame to float32 ``[channels, n]``; integers become fractions of full scale."""
    data: npt.NDArray[Any] = frame.to_ndarray()
    scale = _FULL_SCALE.get(data.dtype.str[1:])
    if data.dtype == np.uint8:
        data = data.astype(np.int16) - 128
    if not frame.format.is_planar:
        data = data.reshape(-1, frame.layout.nb_channels).T
    with np.errstate(over="ignore", invalid="ignore"):  # a large 64-bit float becomes infinite
        samples = np.ascontiguousarray(data, dtype=np.float32)
    return samples if scale is None else samples * np.float32(1 / scale)


class Decoder:
    """Decodes packets; a damaged one becomes silence. So does a frame of a lossy codec that is far over full scale: AAC
    has no checksum, and its damaged bits decode to any number."""

    def __init__(self, stream: AudioStream, damage: Damage) -> None:
        self._context = stream.codec_context
        self._damage = damage
        self.shape = _Shape()
        self._lost = 0
        self.failed = False
        self._is_lossy = not self._context.codec.name.startswith(_LOSSLESS)
        if self._context.codec.name in _CHECKED:
            self._context.options = {"err_detect": "crccheck+bitstream+buffer+explode"}

    def decode(self, packet: Packet[Any] | None) -> list[Piece] | None:
        """Decode a packet to pieces; None if it is damaged."""
        self.failed = False
        try:
            frames = [frame for frame in self._context.decode(packet) if frame.samples]
        except (av.error.FFmpegError, ValueError):
            self.fail(0)
            return None
        return [self._piece(frame) for frame in frames]

    def fail(self, lost: int) -> None:
        """Record a damaged packet, of ``lost`` samples, that is not decoded."""
        self._damage.packets += 1
        self.failed = True
        self.lose(lost)

    def reset(self) -> None:
        """Forget what was decoded before: the next packet begins another song."""
        self._context.flush_buffers()

    def lose(self, samples: int) -> None:
        """Record that ``samples`` are missing; they become silence before the next piece."""
        self._lost += max(0, samples)

    def pieces(self, packet: Packet[Any] | None, lost: int) -> Iterator[Piece]:
        """Decode a packet, preceded by silence for missing samples; a damaged packet adds ``lost`` of them."""
        decoded = self.decode(packet)
        if decoded is None:
            self.lose(lost)
        elif decoded:
            yield from self.lost()
            yield from decoded

    def lost(self) -> Iterator[Piece]:
        """Yield silence for the missing samples."""
        if self._lost and self.shape.rate:
            self._damage.silence_s += self._lost / self.shape.rate
            yield self.shape.silence(self._lost)
            self._lost = 0

    def _piece(self, frame: AudioFrame) -> Piece:
        names = channel_names([channel.name for channel in frame.layout.channels])
        self.shape = _Shape(frame.sample_rate, names, frame.samples)
        samples = to_samples(frame)
        if self._is_lossy and not np.max(np.abs(samples)) <= LARGEST_LOSSY:  # NaN, too
            self._damage.packets += 1
            self._damage.silence_s += frame.samples / frame.sample_rate
            samples = np.zeros_like(samples)
        return Piece(samples, frame.sample_rate, names)
