"""Ends of Au, CAF and Wave64 files, behind which FFmpeg takes padding for audio or for part of the length.

Sources: Oracle, "Au file format"; Apple, "Core Audio Format Specification"; Sonic Foundry, "Wave64".
"""

from __future__ import annotations

import struct
from typing import IO

from stemsplitter.audio.views import read_at

_W64 = b"riff\x2e\x91\xcf\x11"
_MAX_CHUNKS = 1000


def chunks_end(file: IO[bytes], start: int, end: int) -> int:
    """Return the end of the last chunk of the file that begins at ``start``; ``end`` if only that is certain."""
    head = read_at(file, start, 8)
    if head[:4] == b".snd":
        offset, size = struct.unpack(">II", read_at(file, start + 4, 8).ljust(8, b"\0"))
        return end if size in (0, 0xFFFFFFFF) else min(start + offset + size, end)
    if head[:4] == b"caff":
        return _walk(file, start + 8, end, ">4sq", includes_header=False, alignment=1)
    if head == _W64:
        return _walk(file, start + 40, end, "<4s12xq", includes_header=True, alignment=8)
    return end


def _walk(file: IO[bytes], at: int, end: int, layout: str, *, includes_header: bool, alignment: int) -> int:
    """Skip chunks up to zeros or another song. Before the audio, these are damage."""
    header, has_data = struct.calcsize(layout), False
    for _ in range(_MAX_CHUNKS):
        head = read_at(file, at, header)
        if len(head) < header:
            return end
        kind, size = struct.unpack(layout, head)
        if not any(head) or kind in (b"caff", b"riff"):
            return at if has_data else end
        if size < (header if includes_header else 0):
            return end
        has_data |= kind == b"data"
        at += -(-(size if includes_header else header + size) // alignment) * alignment
        if at >= end:
            return end
    return end
