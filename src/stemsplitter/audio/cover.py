"""Cover pictures: media type and size, read from the header without decoding."""

import struct

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
# JPEG markers of frame headers, which contain the size (ITU-T T.81, table B.1).
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_FRONT_COVER = 3  # picture type of ID3 and FLAC
# FFmpeg's av_image_check_size2
_MAX_AREA = 2**31 // 8


def cover_type(picture: bytes) -> str:
    """The media type of a JPEG or PNG picture; empty for other data and sizes that FFmpeg rejects."""
    width, height = cover_size(picture)
    if not (width > 0 and height > 0 and (width + 128) * (height + 128) < _MAX_AREA):
        return ""
    return "image/png" if picture.startswith(_PNG) else "image/jpeg"


def cover_size(picture: bytes) -> tuple[int, int]:
    """Width and height in pixels of a JPEG or PNG picture; (0, 0) if unknown."""
    if picture.startswith(_PNG) and len(picture) >= 24:
        return int.from_bytes(picture[16:20]), int.from_bytes(picture[20:24])
    if picture.startswith(_JPEG):
        return _jpeg_size(picture)
    return 0, 0


def picture_block(picture: bytes, mime: str) -> bytes:
    """Encode a front cover as the picture block of FLAC (RFC 9639 §8.8), which Ogg stores in base64 as a comment."""
    media_type, no_description = mime.encode("ascii"), bytes(4)
    head = struct.pack(">II", _FRONT_COVER, len(media_type)) + media_type + no_description
    bits_per_pixel, colors = 24, 0
    return head + struct.pack(">5I", *cover_size(picture), bits_per_pixel, colors, len(picture)) + picture


def _jpeg_size(picture: bytes) -> tuple[int, int]:
    at = len(_JPEG)
    while at + 9 <= len(picture) and picture[at] == 0xFF:
        if picture[at + 1] in _FRAME_MARKERS:
            return int.from_bytes(picture[at + 7 : at + 9]), int.from_bytes(picture[at + 5 : at + 7])
        at += 2 + int.from_bytes(picture[at + 2 : at + 4])
    return 0, 0
