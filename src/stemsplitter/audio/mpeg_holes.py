"""Holes in the main data of MPEG layer III frames (ISO/IEC 11172-3 §2.4), which has no checksum."""

from __future__ import annotations

from collections.abc import Iterator

from stemsplitter.audio.mpeg import Found, Frame, is_free_format, parse_mpeg


class HoleFinder:
    """Finds zeroed bytes in the main data of layer III frames.

    The main data of a frame begins in the bit reservoir, which earlier frames left unused. Huffman codes have no long
    runs of zeros; padding between the data of two frames may.
    """

    def __init__(self) -> None:
        self._reservoir = b""
        self._is_behind_damage = False

    def is_damaged(self, found: Found) -> bool:
        """True if the frame's main data has a hole; call for every frame in order."""
        frame, data = found.frame, found.data
        if frame.kind[1] != 3:
            return False
        if found.skipped and found.lost_frames:
            self._reservoir, self._is_behind_damage = b"", True
        side, low = _side_info(frame, data), frame.kind[0] != 3
        begin = int.from_bytes(side[:2]) >> 7 if not low else side[0]
        main = data[_side_start(data) + len(side) :]
        available = len(self._reservoir)
        own = self._reservoir[available - begin :] + main if begin <= available else main
        bits = sum(_part_lengths(side, frame.channels, low))
        used = own[: -(-bits // 8)]
        self._reservoir = (self._reservoir + main)[-511:]
        if begin > available:
            return self._is_behind_damage
        self._is_behind_damage = False
        return bits > 8 * len(own) or bytes(24) in used


class PacketChecker:
    """Checks the packets of MPEG audio in a container, such as AVI or Matroska: whole frames without a hole.

    ``silence_s`` is the length in seconds of the frames that :meth:`checked` has silenced.
    """

    def __init__(self) -> None:
        self._holes = HoleFinder()
        self._lost_frames = 0
        self.silence_s = 0.0

    def checked(self, packet: bytes) -> bytes | None:
        """Return the packet with its damaged frames silenced; None if it is no sequence of frames."""
        if is_free_format(packet):
            return packet
        parts, at = list[bytes](), 0
        while at < len(packet):
            frame = parse_mpeg(packet, at)
            if frame is None or at + frame.size > len(packet):
                self._lost_frames += 1
                return None
            data = packet[at : at + frame.size]
            found = Found(frame, data, at, self._lost_frames, self._lost_frames)
            self._lost_frames = 0
            if self._holes.is_damaged(found):
                self.silence_s += frame.samples / frame.rate
                data = silenced(data)
            parts.append(data)
            at += frame.size
        return b"".join(parts)


def silenced(data: bytes) -> bytes:
    """Silence a layer III frame; its main data stays available to the frames after it."""
    if not data[1] & 1:
        # The checksum would be wrong; the decoder drops such a frame.
        return data
    frame = parse_mpeg(data, 0)
    assert frame is not None
    side = _side_info(frame, data)
    start = _side_start(data)
    return data[:start] + bytes(len(side)) + data[start + len(side) :]


def _side_start(data: bytes) -> int:
    return 4 if data[1] & 1 else 6


def _side_info(frame: Frame, data: bytes) -> bytes:
    low = frame.kind[0] != 3
    size = (9 if frame.channels == 1 else 17) if low else (17 if frame.channels == 1 else 32)
    start = _side_start(data)
    return data[start : start + size].ljust(size, b"\0")


def _part_lengths(side: bytes, channels: int, low: bool) -> Iterator[int]:
    """Yield the bits of main data of each granule and channel (ISO/IEC 11172-3 §2.4.1.7)."""
    bits = int.from_bytes(side)
    total = 8 * len(side)
    at = (8 + (1 if channels == 1 else 2)) if low else (9 + (5 if channels == 1 else 3) + 4 * channels)
    for _ in range(channels * (1 if low else 2)):
        yield bits >> total - at - 12 & 0xFFF
        at += 63 if low else 59
