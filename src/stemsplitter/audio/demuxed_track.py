"""Tracks demuxed by FFmpeg, with each packet decoded at its timestamp."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import IO, Any

import av
import av.error
import numpy as np
from av.audio.stream import AudioStream
from av.codec.context import Flags2
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream

from stemsplitter.audio import mp4, ogg
from stemsplitter.audio.ac3 import frame_bytes
from stemsplitter.audio.flac import split_frames
from stemsplitter.audio.joined import bytes_of_next_song
from stemsplitter.audio.mpeg_holes import PacketChecker
from stemsplitter.audio.pieces import MAX_COVER, Damage, Decoder, Piece, Trimmer
from stemsplitter.audio.views import read_at

# Containers whose timestamps show missing packets, with the shortest gap in seconds that counts.
_EXACT_TIMES = {"flac": 0.0, "matroska": 0.005, "asf": 0.25, "mpegts": 0.25, "flv": 0.25}
_LONGEST_GAP_S = 30.0
# Times that jump back by more belong to another song, joined to the first.
_NEXT_SONG_S = 1.0
# Timestamps are exact if they show the loss of a packet as short as this.
_SHORTEST_PACKET_S = 0.01
# FFmpeg may join this many packets with a damaged one.
_JOINED_PACKETS = 4
_ROUNDING_S = 0.002
_AC3 = {"ac3", "eac3"}
# Containers whose header states the length; in others FFmpeg estimates it.
_STATED = {"flac", "matroska", "mov", "wv", "tta", "ape", "caf", "w64", "au", "avi", "flv"}
# Larger than a decoded Vorbis packet. A larger excess means a wrong position or several songs in a row.
_MOST_PADDING = 8192


class DemuxedTrack:
    """A track demuxed by FFmpeg."""

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
        self._began = 0  # granule position of the first sample of an Ogg file
        self._container, self._stream = container, stream
        self._decoder = Decoder(stream, self.damage)
        self._name = container.format.name.partition(",")[0]
        codec = stream.codec_context.codec.name
        self.track: mp4.Track | None = None
        if self._name == "mov":
            self.track = mp4.read_tracks(file, start).get(stream.id)
            stream.codec_context.flags2 |= Flags2.skip_manual
        self._mpeg = PacketChecker() if codec.startswith(("mp1", "mp2", "mp3")) else None
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

    @property
    def bpm(self) -> str:
        """The tempo of an MP4, which FFmpeg does not read; empty if unknown."""
        return str(self.track.bpm) if self.track is not None and self.track.bpm else ""

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
        if self._link is None:
            reached = self._start + self._reached_byte
            self.damage.unused_bytes = bytes_of_next_song(self._file, self._start, reached, self._name)

    def _packets(self) -> Iterator[Packet[Any]]:
        """Yield the track's packets. Stores the cover picture, which FFmpeg returns as a packet before them."""
        pictures = [s for s in self._container.streams.video if s.disposition & Disposition.attached_pic]
        streams: list[Stream] = [self._stream, *pictures[:1]]
        packets = self._container.demux(*streams)
        is_cut = False
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                self.damage.is_cut |= is_cut
                return
            except (av.error.FFmpegError, OSError, ValueError):
                rest = read_at(self._file, self._start + self._reached_byte, 1 << 16)
                self.damage.is_cut = bool(rest.strip(b"\0"))
                return
            if packet.pos is not None:
                self._reached_byte = packet.pos + packet.size
            if packet.stream is self._stream:
                if self._name in _AC3 and packet.size:
                    is_cut = packet.size < frame_bytes(bytes(packet))
                yield packet
            elif self.cover is None and 0 < packet.size <= MAX_COVER:
                self.cover = bytes(packet)

    def _timed(self) -> Iterator[Piece]:
        """Yield decoded pieces, with silence in place of damaged or missing packets."""
        slack = _EXACT_TIMES.get(self._name)
        reached: float | None = None  # expected time of the next packet
        self._lose_wavpack_start()
        for packet in self._whole_packets():
            at = self._seconds(packet.pts)
            gap = at - reached if at is not None and reached is not None else 0.0
            if gap < -_NEXT_SONG_S:
                self._decoder.reset()
            if slack is not None and slack + _ROUNDING_S < gap < _LONGEST_GAP_S:
                self._decoder.lose(round(gap * self._decoder.shape.rate))
            if packet.is_corrupt:
                self.damage.packets += 1
            decoded = 0
            # With exact timestamps, the next packet shows the length of a damaged one.
            lost = 0 if slack is not None and slack < _SHORTEST_PACKET_S else self._packet_samples()
            for piece in self._decoded(packet, lost):
                decoded += 0 if piece.is_silent else piece.samples.shape[1]
                yield piece
            reached = at if at is not None else reached
            if reached is not None and self._decoder.shape.rate:
                if self._decoder.failed:
                    reached += lost / self._decoder.shape.rate
                else:
                    # A packet without a duration is part of damaged data.
                    reached += self._seconds(packet.duration) or decoded / self._decoder.shape.rate
        if self._name == "flac" and self.damage.packets and reached is not None:
            yield from self._end(reached)
        elif self.track is not None:
            yield from self._decoder.lost()

    def _packet_samples(self) -> int:
        return self._decoder.shape.packet_samples or self._stream.codec_context.frame_size

    def _decoded(self, packet: Packet[Any], lost: int) -> Iterator[Piece]:
        """Decode a packet; a damaged one adds ``lost`` missing samples, and a damaged MPEG frame is silent."""
        if self._mpeg is None or not packet.size:
            return self._decoder.pieces(packet, lost)
        data, before = bytes(packet), self._mpeg.silence_s
        checked = self._mpeg.checked(data)
        if checked is None:
            self._decoder.fail(lost)
            return iter(())
        if checked != data:
            self.damage.packets += 1
            self.damage.silence_s += self._mpeg.silence_s - before
            packet = Packet(checked)
        return self._decoder.pieces(packet, lost)

    def _lose_wavpack_start(self) -> None:
        """Record the blocks that a damaged WavPack file has lost at its start: the first good one has an index."""
        if self._name == "wv" and self._start:
            index = int.from_bytes(read_at(self._file, self._start + 16, 4), "little")
            if 0 < index < _LONGEST_GAP_S * self._stream.codec_context.sample_rate:
                self.damage.packets += 1
                self._decoder.lose(index)

    def _end(self, reached: float) -> Iterator[Piece]:
        """Yield silence in place of damaged last packets: no packet follows that would show their length."""
        shape = self._decoder.shape
        left = round((self.stated_s - reached) * shape.rate) if self.stated_s else 0
        if 0 < left <= _JOINED_PACKETS * shape.packet_samples:
            self.damage.silence_s += left / shape.rate
            yield shape.silence(left)

    def _paged(self, link: ogg.Link) -> Iterator[Piece]:
        """Yield decoded pieces of an Ogg file; after damage, a page's granule position shows the missing length."""
        reached: int | None = None
        page, held, count = -1, list[Piece](), 0

        def settle() -> Iterator[Piece]:
            nonlocal reached
            end = link.ends.get(page)
            rate = self._decoder.shape.rate
            # Opus granule positions are in 48 kHz samples at every sample rate.
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
                    reached = 0  # a later start means a song cut from a stream
                yield from settle()
                page, held, count = packet.pos, [], 0
            for piece in self._decoder.pieces(packet, self._decoder.shape.packet_samples):
                count += piece.samples.shape[1]
                held.append(piece)
        yield from settle()

    def _whole_packets(self) -> Iterator[Packet[Any]]:
        """Yield the packets; damaged FLAC data, which FFmpeg joins, is split into frames."""
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
        """Yield the pieces that the edit list keeps."""
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
        """Trim to the last page's position, which FFmpeg misreads in files that begin at position 0."""
        total = self._stream.duration
        trimmer, count, is_primed, primed = Trimmer(end=_MOST_PADDING), 0, False, 0
        for piece in pieces:
            if not is_primed and not piece.is_silent:
                # The first packet only primes the overlap (Vorbis I specification, 4.3.8).
                is_primed, primed = True, piece.samples.shape[1]
                continue
            count += piece.samples.shape[1]
            yield from trimmer.push(piece)
        if self._link is not None and self._link.ends:
            # FFmpeg does not find the last page before much padding.
            last = max(self._link.ends.values())
            # A later start means a song cut from a stream.
            total = last - self._began - primed if self._began > _MOST_PADDING else last
        excess = count - total if total is not None else 0
        trimmer.end = excess if 0 < excess <= _MOST_PADDING else 0
        yield from trimmer.finish(drop=True)
