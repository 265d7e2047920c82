"""Thumbnails of covers, also of damaged and hostile pictures."""

import struct
import zlib
from io import BytesIO

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemsplitter.audio import thumbnail as module
from stemsplitter.audio.cover import cover_size
from stemsplitter.audio.thumbnail import MAX_BYTES, SIDE, thumbnail

JPEG = b"\xff\xd8"


def png(width: int, height: int, header_only: tuple[int, int] | None = None) -> bytes:
    """Return a PNG of noise; ``header_only`` is the size that its header claims."""
    rows = np.random.default_rng(0).integers(0, 255, (height, 1 + 3 * width), dtype=np.uint8)
    rows[:, 0] = 0  # no filter

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", *(header_only or (width, height)), 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows.tobytes()))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [(600, 600, (192, 192)), (400, 100, (192, 48)), (3, 900, (2, 192)), (50, 40, (50, 40)), (1, 1, (2, 2))],
)
def test_thumbnail_is_a_small_jpeg_of_the_same_ratio(width: int, height: int, size: tuple[int, int]) -> None:
    made = thumbnail(png(width, height))
    assert made is not None and made.startswith(JPEG) and len(made) <= MAX_BYTES
    assert cover_size(made) == size and max(size) <= SIDE
    with av.open(BytesIO(made), format="jpeg_pipe") as container:
        frame = next(container.decode(video=0))
    assert (frame.width, frame.height) == size
    again = thumbnail(made)  # JPEG is read, too
    assert again is not None and cover_size(again) == size


@pytest.mark.parametrize(
    "picture",
    [None, b"", b"GIF89a" + bytes(50), b"<svg xmlns='http://www.w3.org/2000/svg'/>", JPEG + bytes(100),
     png(9, 9, (60_000, 60_000)), png(9, 9, (0, 9)), png(9, 9, (2**31, 2**31))],
)  # fmt: skip
def test_other_and_hostile_pictures_have_none(picture: bytes | None) -> None:
    assert thumbnail(picture) is None


def test_large_picture_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = png(9, 9)
    monkeypatch.setattr(module, "_MAX_PIXELS", 80)
    assert thumbnail(picture) is None
    monkeypatch.setattr(module, "_MAX_PIXELS", 81)
    assert thumbnail(picture) is not None
    monkeypatch.setattr(module, "_MAX_PICTURE_BYTES", len(picture) - 1)
    assert thumbnail(picture) is None


@settings(max_examples=60)
@given(st.integers(0, 2000), st.integers(0, 2000), st.binary(max_size=8))
def test_damaged_picture_is_shown_or_not(start: int, length: int, noise: bytes) -> None:
    picture = png(20, 20)
    damaged = picture[:start] + noise + picture[start + length :]
    made = thumbnail(damaged)
    assert made is None or (made.startswith(JPEG) and len(made) <= MAX_BYTES)
