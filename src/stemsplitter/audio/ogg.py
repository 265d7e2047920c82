"""Songs in a row in one Ogg file (RFC 3533 §4: chaining), each with parameters of its own."""

from __future__ import annotations

from typing import IO

from stemsplitter.audio.views import Range, file_size, read_at

_CAPTURE = b"OggS"
_HEADER = 27
_WINDOW = 1 << 16
_BEGINS = 2
_MAX_LINKS = 1000


def find_links(file: IO[bytes], start: int = 0) -> list[Range]:
    """The songs of an Ogg file that begins at ``start``, in order. What is between pages belongs to the one before.

    Only headers of pages are read.
    """
    end = file_size(file)
    begins, at, in_header, window, base = [start], start, True, b"", 0

    def look(position: int, size: int) -> bytes:
        nonlocal window, base
        if not base <= position or position + size > base + len(window):
            base, window = position, read_at(file, position, _WINDOW)
        return window[position - base : position - base + size]

    while at < end and len(begins) < _MAX_LINKS:
        head = look(at, _HEADER)
        if head[:4] != _CAPTURE or len(head) < _HEADER:
            at = _next_page(file, at + 1, end)
            continue
        is_first = bool(head[5] & _BEGINS)
        if is_first and not in_header:
            begins.append(at)
        in_header = is_first
        at += _HEADER + head[26] + sum(look(at + _HEADER, head[26]))
    return [
        Range(begin, following - begin) for begin, following in zip(begins, [*begins[1:], end], strict=True)
    ]


def _next_page(file: IO[bytes], at: int, end: int) -> int:
    while at < end:
        data = read_at(file, at, _WINDOW)
        found = data.find(_CAPTURE)
        if found >= 0:
            return at + found
        at += max(1, len(data) - len(_CAPTURE) + 1)
    return end
