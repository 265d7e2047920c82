"""Tables of MP4 and QuickTime files that define the start and end of the audio (ISO/IEC 14496-12).

FFmpeg applies edit lists to whole packets and trusts packet durations that are too short. Its edit lists are disabled,
and the tables read here are applied to decoded samples.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, NamedTuple

from stemsplitter.audio.views import Range, file_size, read_at

_MAX_MOVIE = 256 << 20
_MAX_BOXES = 100_000
_CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"udta")
_ENCRYPTED = (b"drms", b"enca")
_TEMPO = re.compile(rb"tmpo\0\0\0\x12data\0\0\0[\0\x15].{4}(..)", re.DOTALL)
_SMPB = re.compile(r"^\s*[0-9A-F]+((?:\s+[0-9A-F]+){3})", re.IGNORECASE)


class Edit(NamedTuple):
    """An entry of the edit list: ``start`` in the track's units (-1: silence), ``length`` in the movie's."""

    start: int
    length: int


class Smpb(NamedTuple):
    """iTunSMPB: encoder delay, padding and length of the song, in samples."""

    delay: int
    padding: int
    length: int


class Segment(NamedTuple):
    """Samples of the decoded track from ``start`` to ``end`` (None: to the last), or silence if ``start`` is -1."""

    start: int
    end: int | None


@dataclass
class Track:
    """The tables of one track; ``durations`` are pairs of a number of packets and the duration of each one.

    ``bpm`` is the tempo of the song, which FFmpeg does not read; 0 if unknown.
    """

    number: int = 0
    timescale: int = 0
    movie_timescale: int = 0
    durations: list[tuple[int, int]] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)
    smpb: Smpb | None = None
    is_encrypted: bool = False
    bpm: int = 0

    def segments(self, rate: int, packet_samples: int, *, per_sample: bool) -> list[Segment]:
        """The samples to keep, in order, at ``rate`` Hz.

        ``packet_samples`` is the number of samples of a decoded packet; with ``per_sample``, packets in the table are
        single samples, as in PCM.
        """
        end = self._media_end(rate, packet_samples, per_sample)
        if not self.edits:
            if self.smpb is not None and self.smpb.length > 0:
                return [Segment(self.smpb.delay, self.smpb.delay + self.smpb.length)]
            return [Segment(0, end)]
        segments: list[Segment] = []
        at = 0
        for edit in self.edits:
            # Most writers round to milliseconds; the packet durations are then more exact.
            length = round(edit.length * rate / self.movie_timescale) if self.movie_timescale else 0
            if edit.start < 0:
                # Silence before the song only synchronizes it with video.
                if segments and length:
                    segments.append(Segment(-1, length))
                continue
            start = round(edit.start * rate / self.timescale) if self.timescale else 0
            stop = start + length if length else None
            rounding = rate / self.movie_timescale if self.movie_timescale else 0
            if stop is None or (end is not None and abs(stop - end) <= rounding):
                stop = end
            if start < at:
                return [Segment(0, end)]  # a repeated or reordered part: ignore the edit list
            segments.append(Segment(start, stop))
            at = stop if stop is not None else start
        while segments and segments[-1].start < 0:
            segments.pop()
        return segments or [Segment(0, end)]

    def _media_end(self, rate: int, packet_samples: int, per_sample: bool) -> int | None:
        """The end of the last packet in samples; None if the table does not state it."""
        packets = sum(count for count, _ in self.durations)
        if not packets or not self.timescale or per_sample:
            return None
        scale = rate / self.timescale
        *_, (last_count, last) = self.durations
        regular = [delta for count, delta in self.durations[:-1]] + ([last] if last_count > 1 else [])
        decoded = packets * packet_samples
        if any(round(delta * scale) != packet_samples for delta in regular):
            return None
        return decoded - max(0, packet_samples - round(last * scale))


def read_tracks(file: IO[bytes], start: int = 0) -> dict[int, Track]:
    """Read the tracks of a file's movie box by their number; empty if there is none."""
    for kind, content in _boxes(file, start, file_size(file)):
        if kind == b"moov" and content.length <= _MAX_MOVIE:
            try:
                return _movie(read_at(file, content.start, content.length))
            except (struct.error, IndexError, ValueError):
                return {}
    return {}


def positions(file: IO[bytes], start: int, wanted: bytes) -> Iterator[int]:
    """Yield the positions of the contents of a file's top-level boxes of a kind."""
    return (content.start for kind, content in _boxes(file, start, file_size(file)) if kind == wanted)


def _boxes(file: IO[bytes], at: int, end: int) -> Iterator[tuple[bytes, Range]]:
    for _ in range(_MAX_BOXES):
        if at + 8 > end:
            return
        head = read_at(file, at, 16)
        if len(head) < 8:
            return
        size, kind, header = int.from_bytes(head[:4]), head[4:8], 8
        if size == 1:
            size, header = int.from_bytes(head[8:16]), 16
        if size == 0:
            size = end - at
        if size < header:
            return
        yield kind, Range(at + header, min(size, end - at) - header)
        at += size


def _inside(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        header = 8
        if size == 1:
            size, header = int.from_bytes(data[at + 8 : at + 16]), 16
        if size == 0:
            size = len(data) - at
        if size < header:
            return
        yield kind, data[at + header : at + size]
        at += size


def _movie(data: bytes) -> dict[int, Track]:
    tracks: list[Track] = []
    timescale, smpb, bpm = 0, None, 0
    for kind, content in _inside(data):
        if kind == b"mvhd":
            timescale = int.from_bytes(content[20:24] if content[0] else content[12:16])
        elif kind == b"trak":
            tracks.append(_track(content))
        elif kind in (b"udta", b"meta"):
            smpb = smpb or _find_smpb(content)
            bpm = bpm or _find_tempo(content)
    for track in tracks:
        track.movie_timescale = timescale
        track.smpb = track.smpb or smpb
        track.bpm = bpm
    return {track.number: track for track in tracks}


def _track(data: bytes) -> Track:
    track = Track()
    pending = [data]
    while pending:
        for kind, content in _inside(pending.pop()):
            if kind == b"tkhd":
                track.number = int.from_bytes(content[20:24] if content[0] else content[12:16])
            elif kind == b"mdhd":
                track.timescale = int.from_bytes(content[20:24] if content[0] else content[12:16])
            elif kind == b"elst":
                track.edits = _edits(content)
            elif kind == b"stts":
                count = min(int.from_bytes(content[4:8]), (len(content) - 8) // 8)
                track.durations = [struct.unpack_from(">II", content, 8 + 8 * k) for k in range(count)]
                track.durations = [entry for entry in track.durations if entry[0]]
            elif kind == b"stsd":
                track.is_encrypted = content[12:16] in _ENCRYPTED
            elif kind in _CONTAINERS:
                pending.append(content)
                if kind == b"udta":
                    track.smpb = _find_smpb(content)
    return track


def _edits(content: bytes) -> list[Edit]:
    wide = content[0] == 1
    layout, size = (">Qq", 20) if wide else (">Ii", 12)
    count = min(int.from_bytes(content[4:8]), (len(content) - 8) // size)
    entries = (struct.unpack_from(layout, content, 8 + size * k) for k in range(count))
    return [Edit(start, length) for length, start in entries]


def _find_smpb(content: bytes) -> Smpb | None:
    at = content.find(b"iTunSMPB")
    if at < 0:
        return None
    data = content.find(b"data", at)
    if data < 0:
        return None
    text = content[data + 12 : data + 12 + 200].decode("latin-1")
    match = _SMPB.match(text)
    if match is None:
        return None
    delay, padding, length = (int(number, 16) for number in match[1].split())
    return Smpb(delay, padding, length)


def _find_tempo(content: bytes) -> int:
    match = _TEMPO.search(content)
    return int.from_bytes(match[1]) if match else 0
