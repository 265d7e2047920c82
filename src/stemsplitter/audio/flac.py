"""Frames inside damaged FLAC data (RFC 9639 §9.1), which FFmpeg's parser returns as one packet."""

from __future__ import annotations

import re
from collections.abc import Iterator

_SYNC = re.compile(rb"\xff[\xf8\xf9]")
_LONGEST_HEADER = 16


def _crc8_table() -> bytes:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte << 1 ^ 0x07 if byte & 0x80 else byte << 1) & 0xFF
        table.append(byte)
    return bytes(table)


_CRC8 = _crc8_table()


def split_frames(data: bytes, block_samples: int) -> Iterator[tuple[int, bytes]]:
    """Yield the position in samples and the bytes of each frame with a valid header.

    ``block_samples`` is the block size of a stream with a fixed block size.
    """
    starts = []
    for match in _SYNC.finditer(data):
        at = _position(data[match.start() : match.start() + _LONGEST_HEADER], block_samples)
        if at is not None:
            starts.append((match.start(), at))
    ends = [start for start, _ in starts[1:]] + [len(data)]
    for (start, at), end in zip(starts, ends, strict=False):  # none starts in data of which all is damaged
        yield at, data[start:end]


def _position(head: bytes, block_samples: int) -> int | None:
    """The first sample of the frame with this header; None if the header is invalid."""
    if len(head) < 6:
        return None
    size_code, rate_code = head[2] >> 4, head[2] & 15
    length = _number_length(head[4])
    if not length or size_code == 0 or rate_code == 15 or head[3] >> 4 > 10 or head[3] & 1:
        return None
    end = 4 + length + {6: 1, 7: 2}.get(size_code, 0) + {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if len(head) <= end:
        return None
    crc = 0
    for byte in head[:end]:
        crc = _CRC8[crc ^ byte]
    if crc != head[end]:
        return None
    number = head[4] if length == 1 else head[4] & (0x7F >> length)
    for byte in head[5 : 4 + length]:
        number = number << 6 | byte & 0x3F
    return number if head[1] & 1 else number * block_samples


def _number_length(first: int) -> int:
    """Length in bytes of a UTF-8 coded number, extended to 36 bits, by its first byte; 0 if invalid."""
    ones = 8 - (first ^ 0xFF).bit_length()
    return 1 if ones == 0 else 0 if ones in (1, 8) else ones
