"""Independent pieces of a signal as Ogg Opus files (RFC 7845)."""

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame

from stemsplitter.audio.encoders import LAYOUTS
from stemsplitter.audio.ogg import checksum

Samples = npt.NDArray[np.float32]

RATE = 48_000
BEFORE = 3840  # the 80 ms that a decoder needs to converge (RFC 7845 §4.6)
AFTER = 960  # covers the delay of the encoder
PRE_SKIP = BEFORE + 312
"""Samples at the start of a piece that a decoder drops: those before it, and the delay of the encoder."""

_FRAME = 960  # 20 ms
_PACKETS_PER_PAGE = 50
_FIRST, _LAST = 2, 4  # flags of a page
_COMPLEXITY = "1"  # 5 takes half as long again, for the same SNR at this bit rate
_KBITS = {1: 64, 2: 96}


def encode_piece(samples: Samples, length: int, number: int, *, kbits: int | None = None) -> bytes:
    """Encode ``length`` samples, of ``samples`` ``[C, BEFORE + length + at most AFTER]`` at 48 kHz.

    The samples before and after the piece are encoded with it and dropped by decoders, so that it begins and ends with
    the quality of its middle. ``number`` is that of the Ogg stream: the pieces of a signal form a chained file.
    ``kbits`` is the bit rate in kbit/s, by default 64 for mono and 96 for stereo.
    """
    encoder = _encoder(len(samples), kbits or _KBITS[len(samples)])
    frame = AudioFrame.from_ndarray(
        np.ascontiguousarray(samples.T.reshape(1, -1)), format="flt", layout=LAYOUTS[len(samples)]
    )
    frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), 0
    packets = [bytes(packet) for packet in (*encoder.encode(frame), *encoder.encode(None))]
    assert encoder.extradata is not None
    header = bytearray(encoder.extradata)
    delay = int.from_bytes(header[10:12], "little")
    if BEFORE + delay != PRE_SKIP:
        raise RuntimeError(f"libopus has a delay of {delay} samples")
    header[10:12] = PRE_SKIP.to_bytes(2, "little")
    end = PRE_SKIP + length
    return b"".join(_pages(bytes(header), packets[: -(-end // _FRAME)], end, number))


def _encoder(channels: int, kbits: int) -> AudioCodecContext:
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, AudioCodecContext)
    encoder.layout, encoder.format = LAYOUTS[channels], "flt"
    encoder.sample_rate, encoder.time_base = RATE, Fraction(1, RATE)
    encoder.bit_rate = kbits * 1000
    encoder.options = {"compression_level": _COMPLEXITY, "frame_duration": "20"}
    return encoder


def _pages(header: bytes, packets: list[bytes], end: int, number: int) -> Iterator[bytes]:
    vendor = b"stemsplitter"
    yield _page([header], 0, number, 0, _FIRST)
    yield _page([b"OpusTags" + len(vendor).to_bytes(4, "little") + vendor + bytes(4)], 0, number, 1)
    # FFmpeg needs a page before the last one to find the end
    per_page = min(_PACKETS_PER_PAGE, len(packets) - 1)
    for index, first in enumerate(range(0, len(packets), per_page), 2):
        last = first + per_page
        is_last = last >= len(packets)
        granule = end if is_last else last * _FRAME
        yield _page(packets[first:last], granule, number, index, _LAST if is_last else 0)


def _page(packets: list[bytes], granule: int, serial: int, index: int, flags: int = 0) -> bytes:
    """Encode a page (RFC 3533 §6) of whole packets, of 254 lacing values at most."""
    lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets)
    head = b"OggS\0" + bytes([flags]) + granule.to_bytes(8, "little")
    head += serial.to_bytes(4, "little") + index.to_bytes(4, "little")
    body = bytes([len(lacing)]) + lacing + b"".join(packets)
    return head + checksum(head + bytes(4) + body).to_bytes(4, "little") + body
