"""Cover pictures told by their first bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemsplitter.audio.cover import cover_size, cover_type


@pytest.mark.parametrize(("codec", "mime"), [("png", "image/png"), ("mjpeg", "image/jpeg")])
def test_type_and_size(picture, codec, mime):
    data = picture(codec)
    assert (cover_type(data), cover_size(data)) == (mime, (48, 32))
    assert cover_type(data[:12]) == ""


@given(st.binary(), st.sampled_from([b"", b"\xff\xd8", b"\xff\xd8\xff\xe0\0\0", b"\x89PNG\r\n\x1a\n"]))
def test_anything_else_is_none(data, start):
    width, height = cover_size(start + data)
    assert width >= 0 and height >= 0
    assert cover_type(b"GIF89a" + data) == ""
