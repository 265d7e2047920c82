"""Tags and padding before and after MPEG audio.

Sources: id3.org for ID3v1, ID3v2 and Lyrics3; wiki.hydrogenaud.io for APEv2.
"""

from __future__ import annotations

from typing import IO

from stemsplitter.audio.views import file_size, read_at

_WINDOW = 1 << 16
_MAX_TAGS = 16


def tags_end(file: IO[bytes], start: int = 0, *, zeros: bool = True) -> int:
    """The position after the ID3v2 tags at ``start``, and after zero bytes with ``zeros``."""
    end = file_size(file)
    for _ in range(_MAX_TAGS):
        head = read_at(file, start, 10)
        if head[:3] == b"ID3" and len(head) == 10 and max(head[6:]) < 128 and head[3] < 255:
            size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
            start += 10 + size + (10 if head[5] & 16 else 0)
        elif zeros and head[:1] == b"\0":
            start = _behind_zeros(file, start, end)
        else:
            break
    return start


def _behind_zeros(file: IO[bytes], start: int, end: int) -> int:
    while start < end:
        data = read_at(file, start, _WINDOW)
        kept = data.lstrip(b"\0")
        start += len(data) - len(kept)
        if kept or not data:
            break
    return start


def tags_start(file: IO[bytes], start: int = 0) -> int:
    """The position of the tags at the end of a file: ID3v1, APE, Lyrics3 and ID3v2 with a footer, and zeros."""
    end = file_size(file)
    for _ in range(_MAX_TAGS):
        before = end
        tail = read_at(file, max(start, end - 256), min(256, end - start))
        size = _tag_size(file, tail, end)
        if size and end - size >= start:
            end -= size
        while end > start and read_at(file, end - 1, 1) == b"\0":
            piece = read_at(file, max(start, end - _WINDOW), min(_WINDOW, end - start))
            end -= len(piece) - len(piece.rstrip(b"\0"))
        if end == before:
            break
    return end


def _tag_size(file: IO[bytes], tail: bytes, end: int) -> int:
    """The length of the tag at the end of a file, whose last bytes are ``tail``; 0 if there is none."""
    if tail[-128:-125] == b"TAG" and len(tail) >= 128:
        return 128 + (227 if read_at(file, max(0, end - 355), 4) == b"TAG+" else 0)
    if tail[-32:-24] == b"APETAGEX":
        size, flags = int.from_bytes(tail[-20:-16], "little"), int.from_bytes(tail[-12:-8], "little")
        return size + (32 if flags & 1 << 31 else 0)
    if tail[-9:] == b"LYRICS200" and tail[-15:-9].isdigit():
        return int(tail[-15:-9]) + 15
    if tail[-9:] == b"LYRICSEND":
        text = read_at(file, max(0, end - 5200), 5200)
        begin = text.rfind(b"LYRICSBEGIN")
        return len(text) - begin if begin >= 0 else 0
    if tail[-10:-7] == b"3DI":
        a, b, c, d = tail[-4:]
        return (a << 21 | b << 14 | c << 7 | d) + 20
    return 0
