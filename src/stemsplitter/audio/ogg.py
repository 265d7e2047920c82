"""Pages of Ogg files (RFC 3533): chained songs, each with its own parameters, and damaged pages.

If the parameters of chained songs differ, FFmpeg reads only the first one. It silently skips a page with a wrong
checksum.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import IO

from stemsplitter.audio.views import Range, file_size, read_at

CAPTURE = b"OggS"
HEADER = 27
_WINDOW = 1 << 20
BEGINS, ENDS = 2, 4
_MAX_LINKS = 1000
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass
class Link:
    """One song of a chained file.

    ``ends`` maps the position of each page within the link to its granule position (the time at its end), and
    ``after_damage`` has the positions of pages after damage. ``is_cut`` is true if no page is marked as the last.
    """

    range: Range
    ends: dict[int, int] = field(default_factory=dict)
    after_damage: set[int] = field(default_factory=set)
    damaged: int = 0
    is_cut: bool = True


def find_links(file: IO[bytes], start: int = 0) -> list[Link]:
    """Find the songs of an Ogg file that begins at ``start``, in order. Reads the file once."""
    return _Scan(file, start).links()


def checksum(page: bytes) -> int:
    """Compute the CRC of a page whose checksum field is zero: zlib's, with the bits of all bytes reversed."""
    value = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{value:032b}"[::-1], 2)


class _Scan:
    def __init__(self, file: IO[bytes], start: int) -> None:
        self._file, self._at, self._end = file, start, file_size(file)
        self._buffer, self._base = b"", start

    def links(self) -> list[Link]:
        links, begins = [Link(Range(self._at, 0))], [self._at]
        in_header, is_damaged = True, False
        while self._at < self._end:
            page = self._page()
            if page is None:
                before = self._at
                self._at = self._next_page(before + 1)
                # Tags and garbage after the last page are not damage, nor is a page cut by the end of the file.
                if self._at < self._end or (links[-1].is_cut and self._look(before, 4) == CAPTURE):
                    links[-1].damaged += self._at < self._end and not is_damaged
                    is_damaged = True
                continue
            is_first = bool(page[5] & BEGINS)
            if is_first and not in_header and len(links) < _MAX_LINKS:
                begins.append(self._at)
                links.append(Link(Range(self._at, 0)))
                is_damaged = False
            in_header = is_first
            link, position = links[-1], self._at - begins[-1]
            granule = int.from_bytes(page[6:14], "little", signed=True)
            if is_damaged and granule != -1:
                link.after_damage.add(position)
            if granule != -1:
                link.ends[position] = granule
                is_damaged = False
            if page[5] & ENDS:
                link.is_cut = False
            self._at += len(page)
        for link, begin, following in zip(links, begins, [*begins[1:], self._end], strict=True):
            link.range = Range(begin, following - begin)
        return links

    def _page(self) -> bytes | None:
        """The page at the current position; None if there is none, or its checksum is wrong."""
        head = self._look(self._at, HEADER)
        if head[:4] != CAPTURE or len(head) < HEADER:
            return None
        size = HEADER + head[26] + sum(self._look(self._at + HEADER, head[26]))
        page = self._look(self._at, size)
        if len(page) < size:
            return None
        return (
            page
            if checksum(page[:22] + bytes(4) + page[26:]) == int.from_bytes(page[22:26], "little")
            else None
        )

    def _look(self, at: int, size: int) -> bytes:
        if at < self._base or at + size > self._base + len(self._buffer):
            self._base, self._buffer = at, read_at(self._file, at, max(size, _WINDOW))
        return self._buffer[at - self._base : at - self._base + size]

    def _next_page(self, at: int) -> int:
        while at < self._end:
            data = self._look(at, _WINDOW)
            found = data.find(CAPTURE)
            if found >= 0:
                return at + found
            at += max(1, len(data) - len(CAPTURE) + 1)
        return self._end
