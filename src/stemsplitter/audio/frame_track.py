"""Tracks of MPEG audio and raw AAC, split into frames by their headers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

import av
import av.error
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition

from stemsplitter.audio import mpeg
from stemsplitter.audio.mpeg_holes import HoleFinder, silenced
from stemsplitter.audio.mpeg_tags import tags_end, tags_start
from stemsplitter.audio.pieces import MAX_COVER, Damage, Decoder, Piece, Trimmer


class FrameTrack:
    """A track of MPEG audio or raw AAC, read by :class:`~stemsplitter.audio.mpeg.FrameReader`."""

    def __init__(self, file: IO[bytes], start: int, container: InputContainer, stream: AudioStream) -> None:
        self.damage = Damage()
        self._decoder = Decoder(stream, self.damage)
        self._parse = mpeg.parse_mpeg if container.format.name == "mp3" else mpeg.parse_adts
        self._file = file
        self._begin = tags_end(file, start)
        self._end = tags_start(file, self._begin)
        self.stated_s = container.duration / av.time_base if container.duration else None
        # Missing frames are reported by _note_missing instead.
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
        """The largest number of channels of any frame."""
        return max((found.frame.channels for found in self._reader().frames()), default=0)

    def _reader(self) -> mpeg.FrameReader:
        return mpeg.FrameReader(self._file, self._begin, self._end, self._parse)

    def pieces(self) -> Iterator[Piece]:
        reader = self._reader()
        song, trimmer, frames = mpeg.Trim(0, 0, -1), Trimmer(), 0
        holes = HoleFinder()
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
                data = silenced(data)
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
