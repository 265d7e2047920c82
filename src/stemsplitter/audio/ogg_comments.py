"""Comments of Ogg files (RFC 3533): Vorbis, Opus (RFC 7845), FLAC and Speex.

The comments are the second packet of a stream. The pages of the header are made anew; those of the sound stay as they
are but for their number, if there are more or fewer pages before them.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO

from stemsplitter.audio.comments import with_comments
from stemsplitter.audio.ogg import BEGINS, CAPTURE, ENDS, HEADER, checksum

_CONTINUES = 1
_LONGEST_HEADER = 64 << 20
_MOST_SEGMENTS = 255  # of a page, of up to 255 bytes each
_FLAC = b"\x7fFLAC"
# start of the first packet → start of the second, before the comments
_CODECS = {b"\x01vorbis": b"\x03vorbis", b"OpusHead": b"OpusTags", b"Speex   ": b"", _FLAC: b"\x04"}


class CommentWriter:
    """A file that only grows: an Ogg stream written to it reaches ``file`` with other comments.

    ``texts`` take the place of comments of the same names. :meth:`write` raises ValueError or struct.error for data
    that is not a single stream with comments.
    """

    def __init__(self, file: BinaryIO, texts: Mapping[str, str]) -> None:
        self._file, self._texts = file, texts
        self._buffer, self._taken = b"", 0
        self._codec, self._serial = b"", b""
        self._header: list[bytes] = []
        self._is_header, self._shift = True, 0

    def write(self, data: bytes) -> int:
        """Take the next bytes."""
        self._taken += len(data)
        self._buffer += bytes(data)
        at = 0
        while (end := self._next(at)) > at:
            at = end
        self._buffer = self._buffer[at:]
        return len(data)

    def finish(self) -> None:
        """End the stream: what is left is no whole page."""
        if self._is_header and self._taken:
            raise ValueError("its tags are damaged")
        self._file.write(self._buffer)
        self._buffer = b""

    def tell(self) -> int:
        """Return the number of bytes taken."""
        return self._taken

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Do nothing: all that is written follows what was written before."""
        return self._taken if whence else offset

    def read(self, size: int = -1) -> bytes:
        """Return nothing."""
        return b""

    def _next(self, at: int) -> int:
        """Write the page at a position of the buffer, or what is none; return where it ends, or ``at`` to wait."""
        buffer = self._buffer
        if len(buffer) < at + HEADER:
            return at
        if buffer[at : at + 4] != CAPTURE:
            return self._skip(at)
        lacing = buffer[at + HEADER : at + HEADER + buffer[at + 26]]
        end = at + HEADER + buffer[at + 26] + sum(lacing)
        if len(buffer) < end:
            return at
        page = buffer[at:end]
        if self._is_header:
            self._take_header(page)
        else:
            self._file.write(self._numbered(page))
        return end

    def _skip(self, at: int) -> int:
        """Write what is before the next page."""
        if self._is_header:
            raise ValueError("its tags are damaged")
        found = self._buffer.find(CAPTURE, at)
        end = found if found >= 0 else len(self._buffer) - len(CAPTURE) + 1
        self._file.write(self._buffer[at:end])
        return end

    def _take_header(self, page: bytes) -> None:
        if not self._serial:
            self._codec = next((codec for codec in _CODECS if _content(page).startswith(codec)), b"")
            if not self._codec or not page[5] & BEGINS:
                raise ValueError("its format has no such tags that can be written")
            self._serial = _serial(page)
            self._file.write(page)
            return
        if _serial(page) != self._serial or page[5] & BEGINS:
            raise ValueError("it contains several streams")
        self._header.append(page)
        if sum(map(len, self._header)) > _LONGEST_HEADER:
            raise ValueError("its comments are full")
        if _lacing(page)[-1:] == b"\xff" or not _lacing(page):
            return  # a packet goes on in the next page
        packets = list(_packets(self._header))
        packets[0] = self._commented(packets[0])
        new = list(_pages(packets, self._serial, _number(self._header[0])))
        self._shift = len(new) - len(self._header)
        self._is_header, self._header = False, []
        for each in new:
            self._file.write(each)

    def _commented(self, packet: bytes) -> bytes:
        """Return the packet of the comments with others."""
        start = _CODECS[self._codec]
        if self._codec == _FLAC:  # a block with its length, which may be the last before the sound
            start, packet = packet[:1], packet[:1] + packet[4:]
            if start[0] & 0x7F != _CODECS[_FLAC][0]:
                raise ValueError("its tags are damaged")
        if not packet.startswith(start):
            raise ValueError("its tags are damaged")
        new = with_comments(packet[len(start) :], self._texts)
        if self._codec != _FLAC:
            return start + new
        if len(new) >= 1 << 24:
            raise ValueError("its comments are full")
        return start + len(new).to_bytes(3) + new

    def _numbered(self, page: bytes) -> bytes:
        """Return a page of the sound with its new number; damaged pages and those of other streams stay as they are."""
        if not self._shift or _serial(page) != self._serial or not _is_whole(page):
            return page
        if page[5] & BEGINS:
            self._serial = b""  # another song, numbered by itself
            return page
        if page[5] & ENDS:
            self._serial = b""
        return _sealed(page[:18] + (_number(page) + self._shift).to_bytes(4, "little") + page[22:])


def copy_with_comments(song: BinaryIO, copy: BinaryIO, texts: Mapping[str, str]) -> None:
    """Copy an Ogg file with ``texts`` in place of comments of the same names.

    Raises:
        ValueError: it is damaged, or has no place for them.
        struct.error: so is it.
    """
    writer = CommentWriter(copy, texts)
    while block := song.read(1 << 20):
        writer.write(block)
    writer.finish()


def _lacing(page: bytes) -> bytes:
    """Return the lengths of a page's segments."""
    return page[HEADER : HEADER + page[26]]


def _content(page: bytes) -> bytes:
    return page[HEADER + page[26] :]


def _serial(page: bytes) -> bytes:
    return page[14:18]


def _number(page: bytes) -> int:
    return int.from_bytes(page[18:22], "little")


def _packets(pages: Sequence[bytes]) -> Iterator[bytes]:
    """Yield the packets of pages that end with a whole one."""
    parts: list[bytes] = []
    for page in pages:
        at = HEADER + page[26]
        for length in _lacing(page):
            parts.append(page[at : at + length])
            at += length
            if length < _MOST_SEGMENTS:
                yield b"".join(parts)
                parts = []


def _pages(packets: Sequence[bytes], serial: bytes, number: int) -> Iterator[bytes]:
    """Yield pages with packets of a header; ``number`` is that of the first."""
    lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets)
    content, at = b"".join(packets), 0
    for start in range(0, len(lacing), _MOST_SEGMENTS):
        part = lacing[start : start + _MOST_SEGMENTS]
        is_continued = start > 0 and lacing[start - 1] == 255
        position = bytes(8) if min(part) < 255 else b"\xff" * 8  # no packet ends in this page
        head = struct.pack("<4sBB", CAPTURE, 0, _CONTINUES * is_continued) + position + serial
        page = head + number.to_bytes(4, "little") + bytes(4) + bytes([len(part)]) + part
        yield _sealed(page + content[at : at + sum(part)])
        number, at = number + 1, at + sum(part)


def _sealed(page: bytes) -> bytes:
    """Return a page with its checksum."""
    value = checksum(page[:22] + bytes(4) + page[26:])
    return page[:22] + value.to_bytes(4, "little") + page[26:]


def _is_whole(page: bytes) -> bool:
    return _sealed(page) == page
