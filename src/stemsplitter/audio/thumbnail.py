"""Thumbnails of cover pictures. The pictures are untrusted: call this in a process with limits on memory and time."""

from fractions import Fraction
from io import BytesIO

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from stemsplitter.audio.cover import cover_size, cover_type

SIDE = 192  # pixels, at most
MAX_BYTES = 24_000
_MAX_PICTURE_BYTES = 16 * 2**20
_MAX_PIXELS = 16 * 10**6
_QUANTIZERS = ("4", "8", "16", "31")  # of JPEG, until the file is small enough


def thumbnail(picture: bytes | None) -> bytes | None:
    """Return a JPEG of at most :data:`SIDE` pixels and :data:`MAX_BYTES`, which keeps the ratio; None if the picture is
    no JPEG or PNG, is too large or damaged."""
    if picture is None or len(picture) > _MAX_PICTURE_BYTES or not cover_type(picture):
        return None
    width, height = cover_size(picture)
    if width * height > _MAX_PIXELS:
        return None
    try:
        frame = _decoded(picture)
        scale = min(1.0, SIDE / max(frame.width, frame.height))
        # encoders of 4:2:0 need even sides
        width, height = (max(2, round(side * scale / 2) * 2) for side in (frame.width, frame.height))
        small = frame.reformat(width, height, format="yuvj420p")
        return next(
            (made for made in (_encoded(small, each) for each in _QUANTIZERS) if len(made) <= MAX_BYTES), None
        )
    except (av.FFmpegError, ValueError, StopIteration):
        return None


def _decoded(picture: bytes) -> VideoFrame:
    pipe = "png_pipe" if cover_type(picture) == "image/png" else "jpeg_pipe"
    with av.open(BytesIO(picture), "r", format=pipe) as container:
        return next(container.decode(video=0))


def _encoded(frame: VideoFrame, quantizer: str) -> bytes:
    encoder = VideoCodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, "yuvj420p"
    encoder.time_base = Fraction(1, 1)
    encoder.options = {"qmin": quantizer, "qmax": quantizer}
    frame.pts = 0
    return b"".join(bytes(packet) for packet in (*encoder.encode(frame), *encoder.encode(None)))
