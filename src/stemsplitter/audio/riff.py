"""WAV and AIFF files, presented to FFmpeg with a canonical header.

FFmpeg's demuxers trust chunk sizes, decode 24 valid bits in 32 as floats and search for chunks after the audio. The
chunks are parsed here instead, and FFmpeg reads a view of the file: a canonical header, the tags and the audio.

Sources: Microsoft, "Multiple Channel Audio Data and WAVE Files"; EBU Tech 3306 (RF64); Apple, "Audio Interchange File
Format: AIFF".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, NamedTuple

import numpy as np

from stemsplitter.audio.views import Range, file_size, read_at

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
# KSDATAFORMAT_SUBTYPE_…: the first two bytes are the format tag
_SUBTYPE = bytes.fromhex("000000001000800000aa00389b71")
_FILES = (b"RIFF", b"RF64", b"BW64", b"FORM")  # another song, joined to the first
_TAG_CHUNKS = (b"LIST", b"id3 ", b"ID3 ", b"bext", b"fact", b"NAME", b"AUTH", b"ANNO", b"(c) ")
_MAX_TAG_CHUNK = 16 << 20
_MAX_CHUNKS = 1000
_MAX_TRAILING_CHUNKS = 64
# Sizes written by programs that do not know the length in advance: FFmpeg, SoX and others.
_STREAMED = frozenset([0xFFFFFFFF]) | frozenset(range(0x7FFF0000, 0x80000000))
_UNCOMPRESSED_AIFF = {
    b"NONE",
    b"twos",
    b"sowt",
    b"raw ",
    b"in24",
    b"in32",
    b"fl32",
    b"FL32",
    b"fl64",
    b"FL64",
}
_UNCOMPRESSED_AIFF |= {b"42ni", b"23ni", b"ulaw", b"ULAW", b"alaw", b"ALAW"}


@dataclass
class Sound:
    """Location of the audio in a file: ``parts`` form a canonical file, ``seconds`` is its length if certain.

    ``missing`` is the length in seconds that the header states beyond the end of the file; ``unused`` is the number of
    bytes after the audio that are not a chunk.
    """

    parts: list[bytes | Range] = field(default_factory=list)
    seconds: float | None = None
    missing: float = 0.0
    unused: int = 0
    has_length: bool = True


class _Chunk(NamedTuple):
    kind: bytes
    start: int  # of its content
    size: int  # as stated


def find_sound(file: IO[bytes], start: int = 0) -> Sound | None:
    """Find the audio of the WAV or AIFF file that begins at ``start``; None for other files and without audio."""
    head = read_at(file, start, 12)
    if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:] == b"WAVE":
        return _Wav(file, start).sound()
    if head[:4] == b"FORM" and head[8:] in (b"AIFF", b"AIFC"):
        return _aiff(file, start, head[8:])
    return None


class _Wav:
    def __init__(self, file: IO[bytes], start: int) -> None:
        self._file, self._end = file, file_size(file)
        self._format = b""
        self._tags: list[bytes] = []
        self._data: list[Range] = []
        self._stated = 0
        self._wide_size = 0
        self._streamed = False
        self._after = start + 12

    def sound(self) -> Sound | None:
        self._walk()
        if not self._data or len(self._format) < 16:
            return None
        rate = int.from_bytes(self._format[4:8], "little")
        fmt, kind, align = _canonical_format(self._format, self._sample())
        unused = self._unused()
        whole = sum(part.length for part in self._data)
        if kind in (_PCM, _FLOAT) and align:
            whole -= whole % align
        data = list(self._data)
        data[-1] = Range(data[-1].start, data[-1].length - (sum(part.length for part in data) - whole))
        sound = Sound(unused=unused, has_length=not self._streamed)
        if kind in (_PCM, _FLOAT) and align and rate:
            sound.seconds = whole / align / rate
            sound.missing = max(0, self._stated - whole - align) / align / rate
        elif self._stated > whole + 1:
            sound.missing = self._stated - whole
        sound.parts = [_wav_header(fmt, self._tags, whole), *data]
        return sound

    def _walk(self) -> None:
        file = self._file
        for chunk in _chunks(file, self._after, self._end, "<"):
            if chunk.kind == b"ds64":
                self._wide_size = int.from_bytes(read_at(file, chunk.start + 8, 8), "little")
            elif chunk.kind == b"fmt " and not self._format:
                self._format = read_at(file, chunk.start, min(chunk.size, 1 << 12))
            elif chunk.kind == b"data":
                self._add_data(chunk)
                break
            elif chunk.kind in _TAG_CHUNKS and chunk.size <= _MAX_TAG_CHUNK:
                self._tags.append(_chunk_bytes(file, chunk, "<"))
        if self._data and not self._streamed:
            for number, chunk in enumerate(_chunks(file, self._after, self._end, "<")):
                if number > _MAX_TRAILING_CHUNKS:
                    break
                if chunk.kind == b"data":
                    self._add_data(chunk)
                elif chunk.start + chunk.size > self._end or chunk.kind in _FILES:
                    break
                elif chunk.kind in _TAG_CHUNKS and chunk.size <= _MAX_TAG_CHUNK:
                    self._tags.append(_chunk_bytes(file, chunk, "<"))
                self._after = chunk.start + chunk.size + chunk.size % 2

    def _add_data(self, chunk: _Chunk) -> None:
        available = max(0, self._end - chunk.start)
        size = chunk.size
        if size == 0xFFFFFFFF and self._wide_size:
            size = self._wide_size
        if (size in _STREAMED and size > available) or (size == 0 and not self._data and available > 8):
            self._streamed, size = True, available
        self._stated += size
        self._data.append(Range(chunk.start, min(size, available)))
        self._after = chunk.start + size + size % 2

    def _unused(self) -> int:
        """Number of bytes after the last chunk; 0 if they are zeros."""
        left = self._end - self._after
        if left <= 0:
            return 0
        # Samples only both ends: padding may be gigabytes of zeros.
        head, tail = (
            read_at(self._file, self._after, 4096),
            read_at(self._file, self._end - min(left, 4096), 4096),
        )
        if not head.strip(b"\0") and not tail.strip(b"\0"):
            return 0
        return 0 if left <= 128 and (head[:3] == b"TAG" or left <= 1) else left

    def _sample(self) -> bytes:
        return (
            read_at(self._file, self._data[0].start, min(self._data[0].length, 1 << 16))
            if self._data
            else b""
        )


def _chunks(file: IO[bytes], at: int, end: int, order: str) -> Iterator[_Chunk]:
    for _ in range(_MAX_CHUNKS):
        head = read_at(file, at, 8)
        if len(head) < 8 or not _is_kind(head[:4]):
            return
        kind, size = struct.unpack(f"{order}4sI", head)
        yield _Chunk(kind, at + 8, size)
        at += 8 + size
        # Some programs do not pad chunks of odd length.
        if size % 2 and not (_is_kind(read_at(file, at, 4)) and not _is_kind(read_at(file, at + 1, 4))):
            at += 1
        if at >= end:
            return


def _is_kind(name: bytes) -> bool:
    return len(name) == 4 and all(32 <= byte < 127 for byte in name)


def _chunk_bytes(file: IO[bytes], chunk: _Chunk, order: str) -> bytes:
    content = read_at(file, chunk.start, chunk.size)
    return chunk.kind + struct.pack(f"{order}I", len(content)) + content + bytes(len(content) % 2)


def _canonical_format(fmt: bytes, sample: bytes) -> tuple[bytes, int, int]:
    """Build a canonical ``fmt `` chunk. Returns it, its format tag, and the bytes of one sample of all channels.

    Samples are stored in whole bytes, the valid bits first (Microsoft): the number of valid bits does not change
    their value.
    """
    tag, channels, rate, _, align, bits = struct.unpack("<HHIIHH", fmt[:16])
    mask = 0
    kind = tag
    if tag == _EXTENSIBLE and len(fmt) >= 40 and fmt[26:40] == _SUBTYPE:
        kind, mask = int.from_bytes(fmt[24:26], "little"), int.from_bytes(fmt[20:24], "little")
    if kind not in (_PCM, _FLOAT) or not channels:
        return fmt, kind, align
    width = align // channels if align and align % channels == 0 else -(-bits // 8)
    if not 1 <= width <= 8:
        width = -(-bits // 8)
    if tag == _PCM and bits == 24 and width == 4 and _is_float24(sample):
        return fmt, kind, align  # "24.0 float" of old editors, which FFmpeg supports
    align = width * channels
    head = (channels, rate, rate * align & 0xFFFFFFFF, align, width * 8)
    if mask or channels > 2:
        ext = struct.pack("<HHIH", 22, width * 8, mask, kind) + _SUBTYPE
        return struct.pack("<HHIIHH", _EXTENSIBLE, *head) + ext, kind, align
    return struct.pack("<HHIIHH", kind, *head), kind, align


def _is_float24(sample: bytes) -> bool:
    """True if 32-bit words are floats of ±2^23 rather than integers with 24 valid bits."""
    words = np.frombuffer(sample[: len(sample) // 4 * 4], "<u4")
    if not (words & 0xFF).any():
        return False
    with np.errstate(invalid="ignore"):
        floats = np.abs(words.view("<f4"))
        return bool(
            np.isfinite(floats).all() and floats.max(initial=0) <= 2.0**24 and floats.max(initial=0) >= 1
        )


def _wav_header(fmt: bytes, tags: list[bytes], data: int) -> bytes:
    body = b"fmt " + struct.pack("<I", len(fmt)) + fmt + bytes(len(fmt) % 2) + b"".join(tags)
    size = 4 + len(body) + 8 + data
    if size < 2**32 - 64:
        return b"RIFF" + struct.pack("<I", size) + b"WAVE" + body + b"data" + struct.pack("<I", data)
    wide = b"ds64" + struct.pack("<IQQQI", 28, size + 36, data, 0, 0)
    return b"RF64\xff\xff\xff\xffWAVE" + wide + body + b"data\xff\xff\xff\xff"


def _aiff(file: IO[bytes], start: int, kind: bytes) -> Sound | None:
    end = file_size(file)
    common, tags, data, stated, streamed, unused = b"", b"", None, 0, False, 0
    for chunk in _chunks(file, start + 12, end, ">"):
        if chunk.kind == b"COMM":
            common = read_at(file, chunk.start, min(chunk.size, 512))
        elif chunk.kind == b"FVER" or (chunk.kind in _TAG_CHUNKS and chunk.size <= _MAX_TAG_CHUNK):
            tags += _chunk_bytes(file, chunk, ">")
        elif chunk.kind == b"SSND" and data is None:
            offset = int.from_bytes(read_at(file, chunk.start, 4)) if chunk.size else 0
            first = chunk.start + 8 + offset
            available = max(0, end - first)
            # An interrupted program leaves the sizes at zero.
            streamed = chunk.size <= 8 and available > 8
            stated = available if streamed else max(0, chunk.size - 8 - offset)
            data = Range(first, min(stated, available))
            if streamed:
                break
        elif chunk.kind in _FILES:
            unused = end - chunk.start + 8
            break
    if data is None or len(common) < 18:
        return None
    channels, frames, bits = struct.unpack(">hIh", common[:8])
    compression = common[18:22] if kind == b"AIFC" else b"NONE"
    if compression not in _UNCOMPRESSED_AIFF or channels < 1 or bits < 1:
        return None
    width = 1 if compression.lower() in (b"ulaw", b"alaw") else -(-bits // 8)
    align = width * channels
    count = data.length // align
    rate = _extended(common[8:18])
    common = struct.pack(">hIh", channels, count, bits) + common[8:]
    body = b"COMM" + struct.pack(">I", len(common)) + common + bytes(len(common) % 2) + tags
    body += b"SSND" + struct.pack(">III", 8 + count * align, 0, 0)
    parts: list[bytes | Range] = [b"FORM" + struct.pack(">I", 4 + len(body) + count * align) + kind + body]
    parts.append(Range(data.start, count * align))
    missing = max(0, max(stated // align, 0 if streamed else frames) - count - 1) / rate if rate else 0
    return Sound(parts, count / rate if rate else None, missing, unused, has_length=not streamed)


def _extended(number: bytes) -> float:
    """Decode an 80-bit float (IEEE 754 extended), in which AIFF stores sample rates."""
    exponent, mantissa = struct.unpack(">HQ", number)
    return (
        float(mantissa * 2.0 ** ((exponent & 0x7FFF) - 16383 - 63)) if exponent & 0x7FFF < 16383 + 64 else 0.0
    )
