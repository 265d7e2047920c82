"""Packets of a track to decoded frames, each at its time: damage becomes silence of the same length.

Where a decoder can check what it decodes (FLAC's, WavPack's and other checksums) a damaged packet fails instead of
becoming noise.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any

import av
import av.error
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.codec.context import Flags2
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream

from stemsplitter.audio import mp4, mpeg, ogg
from stemsplitter.audio.downmix import channel_names
from stemsplitter.audio.flac import split_frames
from stemsplitter.audio.views import read_at

Samples = npt.NDArray[np.float32]

_FULL_SCALE = {"u1": 2.0**7, "i2": 2.0**15, "i4": 2.0**31, "i8": 2.0**63}
_CHECKED = {"flac", "wavpack", "tta", "ape", "ac3", "eac3", "mp3float", "mp3", "mp2float", "mp1float"}
# Entropy-coded data has no runs of zeros but as padding at the end: a run inside is a hole, from a bad disk or
# download, that the decoder would turn into noise.
_WITHOUT_CHECKSUM = {"aac", "alac", "vorbis"}  # Opus has unused bytes inside
_HOLE = re.compile(rb"\0{24,}(?=.)", re.DOTALL)
MAX_COVER = 16 << 20
# Where the times of packets tell what is missing between them, and from how many seconds on.
_EXACT_TIMES = {"flac": 0.0, "matroska": 0.005, "asf": 0.25, "mpegts": 0.25, "flv": 0.25}
_LONGEST_GAP_S = 30.0
# so many packets after a damaged one may be joined with it
_JOINED_PACKETS = 4
_ROUNDING_S = 0.002
# Containers whose header states the length; in others FFmpeg estimates it.
_STATED = {"flac", "matroska", "mov", "wv", "tta", "ape", "caf", "w64", "au", "avi", "flv"}


@dataclass
class Damage:
    """What was found to be wrong with a track while it was read."""

    packets: int = 0
    silence_s: float = 0.0
    skipped_bytes: int = 0
    unused_bytes: int = 0
    missing_s: float = 0.0
    is_cut: bool = False

    def sentences(self, seconds: float) -> list[str]:
        """Warnings; ``seconds`` is the length of the song as read."""
        said = []
        if self.packets or self.silence_s:
            silent = (
                f"{self.silence_s:.2g} s of it are silent"
                if self.silence_s
                else "what could be decoded is used"
            )
            said.append(f"The file is damaged (bad packets: {self.packets}); {silent}.")
        if self.skipped_bytes:
            said.append(f"The file is damaged: {self.skipped_bytes} bytes that are not audio were skipped.")
        if self.unused_bytes:
            said.append(
                f"{self.unused_bytes} bytes follow the audio that the header states; they are not used."
            )
        if self.missing_s:
            said.append(
                f"The file ends after {seconds:.3g} s although its header states {self.missing_s:.2g} s more; it may "
                "be cut short."
            )
        elif self.is_cut:
            said.append("The file ends inside a packet; it may be cut short.")
        return said


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
    """The rate and channels of the last frame, which silence has, too."""

    rate: int = 0
    names: tuple[str, ...] = ()
    packet_samples: int = 0

    def silence(self, samples: int) -> Piece:
        return Piece(np.zeros((len(self.names), samples), np.float32), self.rate, self.names, True)


@dataclass
class Trimmer:
    """Drops ``start`` samples of a song, and holds back ``end`` of them until it is known whether they are its last."""

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


def has_zeros_inside(data: bytes) -> bool:
    """True if entropy-coded data has a run of zeros that is no padding at its end."""
    found = _HOLE.search(data.rstrip(b"\0"))
    return found is not None


class _Decoder:
    def __init__(self, stream: AudioStream, damage: Damage) -> None:
        self._context = stream.codec_context
        self._damage = damage
        self.shape = _Shape()
        self._lost = 0
        self.failed = False
        self._has_no_checksum = self._context.codec.name in _WITHOUT_CHECKSUM
        if self._context.codec.name in _CHECKED:
            self._context.options = {"err_detect": "crccheck+bitstream+buffer+explode"}

    def decode(self, packet: Packet[Any] | None) -> list[Piece] | None:
        """The pieces of a packet; None where it is damaged."""
        self.failed = False
        try:
            frames = [frame for frame in self._context.decode(packet) if frame.samples]
        except (av.error.FFmpegError, ValueError):
            self._damage.packets += 1
            self.failed = True
            return None
        return [self._piece(frame) for frame in frames]

    def lose(self, samples: int) -> None:
        """Note that ``samples`` are missing, which become silence if anything follows them."""
        self._lost += max(0, samples)

    def pieces(self, packet: Packet[Any] | None, lost: int) -> Iterator[Piece]:
        """Decode a packet, after silence for what is missing before it; ``lost`` samples are, if it is damaged."""
        has_hole = packet is not None and self._has_no_checksum and has_zeros_inside(bytes(packet))
        if has_hole:
            self._damage.packets += 1
        decoded = None if has_hole else self.decode(packet)
        if decoded is None:
            self.lose(lost)
        elif decoded:
            if self._lost:
                self._damage.silence_s += self._lost / self.shape.rate
                yield self.shape.silence(self._lost)
                self._lost = 0
            yield from decoded

    def _piece(self, frame: AudioFrame) -> Piece:
        names = channel_names([channel.name for channel in frame.layout.channels])
        self.shape = _Shape(frame.sample_rate, names, frame.samples)
        return Piece(to_samples(frame), frame.sample_rate, names)


class FrameTrack:
    """A track of MPEG audio or raw AAC whose frames are found by :class:`~stemsplitter.audio.mpeg.FrameReader`."""

    def __init__(self, file: IO[bytes], start: int, container: InputContainer, stream: AudioStream) -> None:
        self.damage = Damage()
        self._decoder = _Decoder(stream, self.damage)
        self._parse = mpeg.parse_mpeg if container.format.name == "mp3" else mpeg.parse_adts
        self._file = file
        self._begin = mpeg.tags_end(file, start)
        self._end = mpeg.tags_start(file, self._begin)
        self.stated_s = container.duration / av.time_base if container.duration else None
        # The frames are counted below.
        self.states_length = False
        self.cover = self._read_cover(container)

    def _read_cover(self, container: InputContainer) -> bytes | None:
        pictures = [s for s in container.streams.video if s.disposition & Disposition.attached_pic]
        try:
            packet = next(container.demux(pictures[0])) if pictures else None
        except (StopIteration, av.error.FFmpegError, OSError, ValueError):
            return None
        return bytes(packet) if packet is not None and 0 < packet.size <= MAX_COVER else None

    def most_channels(self) -> int:
        """The largest number of channels that a frame has."""
        return max((found.frame.channels for found in self._reader().frames()), default=0)

    def _reader(self) -> mpeg.FrameReader:
        return mpeg.FrameReader(self._file, self._begin, self._end, self._parse)

    def pieces(self) -> Iterator[Piece]:
        reader = self._reader()
        song, trimmer, frames = mpeg.Trim(0, 0, -1), Trimmer(), 0
        holes = mpeg.HoleFinder()
        stated = 0.0
        for found in reader.frames():
            info = mpeg.info_trim(found.frame, found.data) if self._parse is mpeg.parse_mpeg else None
            if info is not None:
                yield from trimmer.finish(drop=song.frames <= frames)
                self._note_missing(song, frames, found.frame)
                song, trimmer, frames = info, Trimmer(info.start, info.end), 0
                stated += max(0, info.frames) * found.frame.samples / found.frame.rate
                self.stated_s = stated or self.stated_s
                continue
            samples = self._decoder.shape.packet_samples or found.frame.samples
            self._decoder.lose(found.lost_frames * samples)
            frames += 1 + found.lost_frames
            data = found.data
            if self._parse is mpeg.parse_mpeg and holes.is_damaged(found):
                self.damage.packets += 1
                self.damage.silence_s += found.frame.samples / found.frame.rate
                data = mpeg.silenced(data)
            for piece in self._decoder.pieces(Packet(data), samples):
                yield from trimmer.push(piece)
            last = found.frame
        yield from trimmer.finish(drop=song.frames <= frames)
        if frames:
            self._note_missing(song, frames, last)
        self.damage.skipped_bytes, self.damage.is_cut = reader.skipped, reader.cut

    def _note_missing(self, song: mpeg.Trim, frames: int, frame: mpeg.Frame) -> None:
        if song.frames - frames > 1:
            self.damage.missing_s += (song.frames - frames) * frame.samples / frame.rate


class DemuxedTrack:
    """A track whose packets FFmpeg finds."""

    def __init__(
        self,
        file: IO[bytes],
        start: int,
        container: InputContainer,
        stream: AudioStream,
        link: ogg.Link | None = None,
    ) -> None:
        self.damage = Damage()
        self.cover: bytes | None = None
        self._file, self._start, self._link = file, start, link
        self._reached_byte = 0
        self._began = 0  # the time of the first sample of an Ogg file
        self._container, self._stream = container, stream
        self._decoder = _Decoder(stream, self.damage)
        self._name = container.format.name.partition(",")[0]
        codec = stream.codec_context.codec.name
        self.track: mp4.Track | None = None
        if self._name == "mov":
            self.track = mp4.read_tracks(file, start).get(stream.id)
            stream.codec_context.flags2 |= Flags2.skip_manual
        self._is_vorbis = self._name == "ogg" and codec == "vorbis"
        if self._is_vorbis:
            stream.codec_context.flags2 |= Flags2.skip_manual
        self._per_sample = codec.startswith("pcm_")
        self.stated_s = self._stated()
        self.states_length = self._name in _STATED

    @property
    def is_encrypted(self) -> bool:
        """True if the track is copy-protected."""
        return self.track is not None and self.track.is_encrypted

    def _stated(self) -> float | None:
        stream = self._stream
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        return self._container.duration / av.time_base if self._container.duration else None

    def pieces(self) -> Iterator[Piece]:
        if self.track is not None:
            yield from self._edited(self._timed())
        elif self._link is not None and self._name == "ogg":
            pieces = self._paged(self._link)
            yield from self._vorbis(pieces) if self._is_vorbis else pieces
            self.damage.packets += self._link.damaged
            self.damage.is_cut = self._link.is_cut
        else:
            yield from self._timed()

    def _packets(self) -> Iterator[Packet[Any]]:
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
                rest = read_at(self._file, self._start + self._reached_byte, 1 << 16)
                self.damage.is_cut = bool(rest.strip(b"\0"))
                return
            if packet.pos is not None:
                self._reached_byte = packet.pos + packet.size
            if packet.stream is self._stream:
                yield packet
            elif self.cover is None and 0 < packet.size <= MAX_COVER:
                self.cover = bytes(packet)

    def _timed(self) -> Iterator[Piece]:
        """Decoded pieces, and silence where packets are damaged or missing."""
        slack = _EXACT_TIMES.get(self._name)
        reached: float | None = None  # where the next packet should begin
        for packet in self._whole_packets():
            at = self._seconds(packet.pts)
            gap = at - reached if at is not None and reached is not None else 0.0
            if slack is not None and slack + _ROUNDING_S < gap < _LONGEST_GAP_S:
                self._decoder.lose(round(gap * self._decoder.shape.rate))
            if packet.is_corrupt:
                self.damage.packets += 1
            decoded = 0
            # The time of the next packet tells what a damaged one leaves out, where there are exact times.
            for piece in self._decoder.pieces(
                packet, 0 if slack is not None else self._decoder.shape.packet_samples
            ):
                decoded += 0 if piece.is_silent else piece.samples.shape[1]
                yield piece
            reached = at if at is not None else reached
            if reached is not None and self._decoder.shape.rate:
                duration = 0 if self._decoder.failed else packet.duration or 0
                # A packet without a duration is a piece of damaged data.
                reached += self._seconds(duration) or decoded / self._decoder.shape.rate

    def _paged(self, link: ogg.Link) -> Iterator[Piece]:
        """Decoded pieces of an Ogg file; behind damage, the time at the end of a page tells what is missing."""
        reached: int | None = None
        page, held, count = -1, list[Piece](), 0

        def settle() -> Iterator[Piece]:
            nonlocal reached
            end = link.ends.get(page)
            rate = self._decoder.shape.rate
            # Opus counts time at 48 kHz whatever the rate.
            if page in link.after_damage and end is not None and reached is not None:
                missing = end - count - reached
                if 0 < missing < _LONGEST_GAP_S * rate:
                    self.damage.silence_s += missing / rate
                    yield self._decoder.shape.silence(missing)
            if held and end is not None and reached is None:
                self._began = end - count
            yield from held
            reached = end if end is not None else reached

        for packet in self._packets():
            if packet.pos is not None and packet.pos != page:
                if page < 0 and packet.pos in link.after_damage:
                    reached = 0  # unless the song was cut out of a stream, which is longer ago
                yield from settle()
                page, held, count = packet.pos, [], 0
            for piece in self._decoder.pieces(packet, self._decoder.shape.packet_samples):
                count += piece.samples.shape[1]
                held.append(piece)
        yield from settle()

    def _whole_packets(self) -> Iterator[Packet[Any]]:
        """The packets, with those of damaged FLAC data, which FFmpeg joins, split into frames."""
        block, suspicious = 0, 0
        for number, packet in enumerate(self._packets()):
            if self._name == "flac" and packet.size:
                if packet.pts is None or (number == 0 and packet.pts):
                    self.damage.packets += packet.pts is None
                    suspicious = _JOINED_PACKETS
                if suspicious:
                    suspicious -= 1
                    block = block or packet.duration or 0
                    for at, data in split_frames(bytes(packet), block):
                        frame: Packet[Any] = Packet(data)
                        frame.pts, frame.duration, frame.time_base = at, 0, packet.time_base
                        yield frame
                    continue
                block = packet.duration or block
            yield packet

    def _seconds(self, ticks: int | None) -> float | None:
        base = self._stream.time_base
        return None if ticks is None or base is None else float(ticks * base)

    def _edited(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """The pieces that the edit list keeps."""
        assert self.track is not None
        segments: deque[mp4.Segment] | None = None
        at = 0
        for piece in pieces:
            if segments is None:
                packet = self._stream.codec_context.frame_size or piece.samples.shape[1]
                packet = max(packet, piece.samples.shape[1])
                segments = deque(self.track.segments(piece.rate, packet, per_sample=self._per_sample))
                self.stated_s = (
                    sum(s.end - max(s.start, 0) for s in segments if s.end is not None) / piece.rate
                )
            count = piece.samples.shape[1]
            while segments:
                segment = segments[0]
                if segment.start < 0:
                    yield Piece(
                        np.zeros((len(piece.names), segment.end or 0), np.float32), piece.rate, piece.names
                    )
                    segments.popleft()
                    continue
                kept = piece.cut(
                    max(0, segment.start - at), count if segment.end is None else max(0, segment.end - at)
                )
                if kept.samples.shape[1]:
                    yield kept
                if segment.end is None or segment.end > at + count:
                    break
                segments.popleft()
            at += count

    def _vorbis(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Trimmed to the last page's position, which FFmpeg gets wrong for files that begin at position 0."""
        total = self._stream.duration
        trimmer, count, is_primed, primed = Trimmer(end=8192), 0, False, 0
        for piece in pieces:
            if not is_primed and not piece.is_silent:
                # The first packet only primes the overlap (Vorbis I specification, 4.3.8).
                is_primed, primed = True, piece.samples.shape[1]
                continue
            count += piece.samples.shape[1]
            yield from trimmer.push(piece)
        if self._link is not None and self._began > 8192:  # cut from a stream
            total = max(self._link.ends.values()) - self._began - primed
        excess = count - total if total is not None else 0
        trimmer.end = excess if 0 < excess <= 8192 else 0
        yield from trimmer.finish(drop=True)
