"""Frames of MPEG audio and raw AAC, found by their headers.

FFmpeg's parsers pass garbage to the decoder together with the next frame, lose the timing at damage, and treat tags as
damaged frames. Here a frame is valid if another frame of the same stream follows it, and the bytes between two frames
are counted.

Sources: ISO/IEC 11172-3 §2.4 and 13818-3 (MPEG audio), 13818-7 §6.2 (ADTS); gabriel.mp3-tech.org/mp3infotag.html for
LAME's tag.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import IO, NamedTuple

from stemsplitter.audio.mpeg_tags import tags_end
from stemsplitter.audio.views import read_at

_BITRATES = {
    (1, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_BITRATES[2, 3] = _BITRATES[2, 2]
_RATES = (44100, 48000, 32000)
_AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_WINDOW = 1 << 16
# In garbage, a false header is followed by a matching one only about once in a thousand times.
_IN_A_ROW = 3
_SEARCHED = 1 << 20
_HEADER = 7
# Delay of a layer III decoder, which LAME's values do not include.
_DECODER_DELAY = 528 + 1


class Frame(NamedTuple):
    """A frame header; ``kind`` is equal for all frames of one stream."""

    size: int
    samples: int
    rate: int
    channels: int
    kind: tuple[int, ...]


class Found(NamedTuple):
    """A frame in a file: its bytes, and the numbers of lost frames and skipped bytes before it."""

    frame: Frame
    data: bytes
    at: int
    lost_frames: int
    skipped: int


class Trim(NamedTuple):
    """Samples to drop at the start and the end of a song, and its number of frames, or -1 if unknown."""

    start: int
    end: int
    frames: int


Parse = Callable[[bytes, int], Frame | None]


def parse_mpeg(data: bytes, at: int) -> Frame | None:
    """Parse the MPEG audio frame header at ``at``; None if there is none or it is of free format."""
    if len(data) < at + 4 or data[at] != 0xFF or data[at + 1] & 0xE0 != 0xE0:
        return None
    b1, b2, b3 = data[at + 1 : at + 4]
    version, layer = b1 >> 3 & 3, 4 - (b1 >> 1 & 3)
    index, rate_index = b2 >> 4, b2 >> 2 & 3
    if version == 1 or layer == 4 or index in (0, 15) or rate_index == 3:
        return None
    low = version != 3
    rate = _RATES[rate_index] >> (low + (version == 0))
    bitrate = _BITRATES[2 if low else 1, layer][index] * 1000
    padding = b2 >> 1 & 1
    samples = 384 if layer == 1 else 576 if low and layer == 3 else 1152
    size = (12 * bitrate // rate + padding) * 4 if layer == 1 else samples // 8 * bitrate // rate + padding
    return Frame(size, samples, rate, 1 if b3 >> 6 == 3 else 2, (version, layer, rate_index))


def is_free_format(data: bytes) -> bool:
    """True if ``data`` begins with an MPEG audio frame of free format, whose header does not state its size."""
    return (
        len(data) > 3
        and data[0] == 0xFF
        and data[1] & 0xE0 == 0xE0
        and data[1] >> 3 & 3 != 1
        and (data[1] >> 1 & 3 != 0 and data[2] >> 4 == 0 and data[2] >> 2 & 3 != 3)
    )


def parse_adts(data: bytes, at: int) -> Frame | None:
    """Parse the ADTS header of an AAC frame at ``at``; None if there is none."""
    if len(data) < at + _HEADER or data[at] != 0xFF or data[at + 1] & 0xF6 != 0xF0:
        return None
    b1, b2, b3, b4, b5, b6 = data[at + 1 : at + 7]
    rate_index, channels = b2 >> 2 & 15, (b2 & 1) << 2 | b3 >> 6
    size = (b3 & 3) << 11 | b4 << 3 | b5 >> 5
    if rate_index >= len(_AAC_RATES) or size < _HEADER:
        return None
    kind = (b1 & 0xF8, b2 >> 6, rate_index)
    return Frame(size, 1024 * ((b6 & 3) + 1), _AAC_RATES[rate_index], 8 if channels == 7 else channels, kind)


class FrameReader:
    """Reads the frames of a file from ``start`` to ``end`` and skips other bytes.

    ``skipped`` counts the bytes before the first frame, between frames and after the last one; ``cut`` is true if the
    last frame is incomplete.
    """

    def __init__(self, file: IO[bytes], start: int, end: int, parse: Parse) -> None:
        self._file, self._at, self._end, self._parse = file, start, end, parse
        self._buffer, self._base = b"", start
        self._mean = 0.0
        self.skipped = 0
        self.cut = False

    def frames(self) -> Iterator[Found]:
        """Yield the frames in order."""
        last: Frame | None = None
        while self._at < self._end:
            if self._end - self._at < _HEADER and last is not None:
                self.cut = self.cut or any(self._bytes(self._at, self._end - self._at))
                return
            frame = self._frame(self._at, last)
            if frame is None and last is not None and (size := self._tag()):
                self._at += size
                continue
            begin = self._at if frame is not None else self._search(last)
            if begin < 0:
                self._rest(last)
                return
            if frame is None:
                frame = self._header(begin)
                assert frame is not None
            skipped = begin - self._at
            lost = round(skipped / self._mean) if last is not None and self._mean else 0
            self.skipped += skipped
            self._mean += (frame.size - self._mean) / 16 if self._mean else frame.size
            self._at = begin
            data = self._bytes(begin, min(frame.size, self._end - begin))
            following = self._header(begin + frame.size)
            if following is None and begin + frame.size < self._end:
                # The header's size may be wrong: the next frame may begin inside this one.
                inside = self._next_inside(begin, frame)
                data = data[:inside]
            if len(data) < frame.size and begin + frame.size > self._end:
                self.cut = True
            yield Found(frame, data, begin, lost, skipped)
            self._at = begin + len(data)
            last = frame

    def _tag(self) -> int:
        """The length of the tag or zero padding at the current position, between two songs; 0 if none."""
        head = self._bytes(self._at, 32)
        if head[:3] == b"TAG":
            return 128
        if head[:8] == b"APETAGEX":
            return int.from_bytes(head[12:16], "little") + 32
        if head[:3] == b"ID3" or head[:1] == b"\0":
            # A few zeros may be a damaged frame header.
            size = tags_end(self._file, self._at) - self._at
            return size if head[:3] == b"ID3" or size > 256 else 0
        return 0

    def _rest(self, last: Frame | None) -> None:
        self.skipped += self._end - self._at
        self._at = self._end

    def _frame(self, at: int, last: Frame | None) -> Frame | None:
        """The frame at ``at`` if it continues the stream or begins another one."""
        frame = self._header(at)
        if frame is None:
            return None
        if last is not None and frame.kind == last.kind:
            return frame
        return frame if self._follows(at, frame) else None

    def _follows(self, at: int, frame: Frame) -> bool:
        """True if frames of the same kind, or the end of the file, follow ``frame``."""
        kind = frame.kind
        for number in range(_IN_A_ROW - 1):
            at += frame.size
            if at >= self._end - _HEADER:
                # The last frame may be cut, but a false header must not reach past the end.
                return at <= self._end or number > 0
            following = self._header(at)
            if following is None or following.kind != kind:
                return False
            frame = following
        return True

    def _search(self, last: Frame | None) -> int:
        """Find the position of the next frame; -1 if there is none."""
        at = self._at
        while at < self._end:
            window = self._bytes(at, min(_WINDOW, self._end - at))
            found = window.find(b"\xff")
            while found >= 0:
                frame = self._header(at + found)
                if frame is not None and self._follows(at + found, frame):
                    return at + found
                found = window.find(b"\xff", found + 1)
            at += len(window)
            if last is None and at - self._at > _SEARCHED:
                return -1
        return -1

    def _next_inside(self, begin: int, frame: Frame) -> int:
        for at in range(begin + 4, min(begin + frame.size, self._end - _HEADER)):
            if self._byte(at) == 0xFF:
                inner = self._header(at)
                if inner is not None and inner.kind == frame.kind and self._follows(at, inner):
                    return at - begin
        return frame.size

    def _header(self, at: int) -> Frame | None:
        if at >= self._end:
            return None
        self._hold(at, _HEADER)
        return self._parse(self._buffer, at - self._base)

    def _byte(self, at: int) -> int:
        self._hold(at, 1)
        return self._buffer[at - self._base]

    def _bytes(self, at: int, size: int) -> bytes:
        self._hold(at, size)
        return self._buffer[at - self._base : at - self._base + size]

    def _hold(self, at: int, size: int) -> None:
        """Fill the buffer with ``size`` bytes from ``at`` on, fewer only at the end."""
        if at < self._base or min(at + size, self._end) > self._base + len(self._buffer):
            # Searches return to the current frame.
            self._base = min(at, self._at)
            wanted = max(at + size - self._base, 2 * _WINDOW)
            self._buffer = read_at(self._file, self._base, min(wanted, self._end - self._base))


def info_trim(frame: Frame, data: bytes) -> Trim | None:
    """Read the trim of a song from a Xing, Info or VBRI frame; None for an audio frame.

    The delay and padding of LAME's tag are those of the encoder; decoders add 529 samples.
    """
    if data[36:40] == b"VBRI":
        return Trim(0, 0, int.from_bytes(data[50:54]))
    low = frame.kind[0] != 3
    at = 4 + ((9 if frame.channels == 1 else 17) if low else (17 if frame.channels == 1 else 32))
    # with a checksum after the header
    at = at if data[at : at + 4] in (b"Xing", b"Info") else at + 2
    if data[at : at + 4] not in (b"Xing", b"Info"):
        return None
    flags = int.from_bytes(data[at + 4 : at + 8])
    frames = int.from_bytes(data[at + 8 : at + 12]) if flags & 1 else -1
    at += 8 + 4 * (flags & 1) + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
    tag = data[at : at + 24]
    if len(tag) < 24 or tag[:1] not in (b"L", b"G"):
        return Trim(0, 0, frames)
    delay, padding = tag[21] << 4 | tag[22] >> 4, (tag[22] & 15) << 8 | tag[23]
    return Trim(delay + _DECODER_DELAY, max(0, padding - _DECODER_DELAY), frames)
