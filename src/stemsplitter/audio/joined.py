"""Another song behind the audio that FFmpeg reads, from files that were joined.

Source of the objects: Microsoft, "Advanced Systems Format (ASF) Specification", 2.1.
"""

from __future__ import annotations

from typing import IO

from stemsplitter.audio import mp4
from stemsplitter.audio.opening import begins_song
from stemsplitter.audio.views import file_size, read_at

_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_MAX_OBJECTS = 100
# The header of an FLV tag, that of its AAC data, and the size behind it are not part of its packet.
_FLV_FRAMING = 11 + 2 + 4


def bytes_of_next_song(file: IO[bytes], start: int, reached: int, container: str) -> int:
    """Return the bytes from another song on; 0 if there is none.

    The first song begins at ``start``, and its last packet ends at ``reached``. ``container`` is FFmpeg's name.
    """
    end = file_size(file)
    if container == "mov":
        types = mp4.positions(file, start, b"ftyp")
        return end - next((at - 8 for at in types if at > reached), end)
    if container == "asf":
        return end - _end_of_asf(file, start, end)
    head = read_at(file, reached, 24)
    if container == "flv":
        framing = read_at(file, reached, _FLV_FRAMING + 4).find(b"FLV\x01")
        return end - reached - framing if framing >= 0 else 0
    if head[:8] == b"APETAGEX":  # of the first song
        reached += int.from_bytes(head[12:16], "little") + 32
        head = read_at(file, reached, 24)
    return end - reached if begins_song(head) else 0


def _end_of_asf(file: IO[bytes], start: int, end: int) -> int:
    """Return the position of the next song's header; ``end`` if there is none."""
    at = start
    for _ in range(_MAX_OBJECTS):
        head = read_at(file, at, 24)
        if at > start and head[:16] == _ASF:
            return at
        size = int.from_bytes(head[16:], "little")
        if size < 24:
            return end
        at += size
    return end
