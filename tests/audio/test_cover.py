"""Type and size of cover pictures, read from their header."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemsplitter.audio.cover import cover_size, cover_type
from stemsplitter.audio.decode import open_source
from stemsplitter.audio.encode import StemWriter
from stemsplitter.audio.formats import OutputFormat


@pytest.mark.parametrize(("codec", "mime"), [("png", "image/png"), ("mjpeg", "image/jpeg")])
def test_png_and_jpeg_have_type_and_size(picture, codec, mime):
    data = picture(codec)
    assert (cover_type(data), cover_size(data)) == (mime, (48, 32))
    assert cover_type(data[:12]) == ""


@given(st.binary(), st.sampled_from([b"", b"\xff\xd8", b"\xff\xd8\xff\xe0\0\0", b"\x89PNG\r\n\x1a\n"]))
def test_other_data_has_no_type(data, start):
    width, height = cover_size(start + data)
    assert width >= 0 and height >= 0
    assert cover_type(b"GIF89a" + data) == ""


def png(width, height):
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + b"\x08\2\0\0\0" + bytes(64)
    )


@pytest.mark.parametrize(
    ("width", "height"),
    [(0, 48), (48, 0), (2**32 - 1, 48), (48, 2**32 - 1), (70_000, 70_000), (20_000, 20_000), (2**31, 2**31)],
)
@pytest.mark.parametrize("fmt", ["mp3", "flac", "m4a"])
def test_d_cover_of_an_impossible_size_is_omitted_and_warns(tmp_path, noise, fmt, width, height):
    assert cover_type(png(width, height)) == ""
    picture = png(width, height)
    song = tmp_path / "song.mp3"
    body = b"\3image/png\0\3\0" + picture
    frame = b"APIC" + len(body).to_bytes(4) + b"\0\0" + body
    size = bytes(len(frame) >> shift & 0x7F for shift in (21, 14, 7, 0))
    with StemWriter(song, OutputFormat.parse("mp3"), 44100, 2) as writer:
        writer.write(noise(5000))
        writer.commit()
    song.write_bytes(b"ID3\3\0\0" + size + frame + song.read_bytes())
    with open_source(song) as source:
        list(source.blocks())
        tags = source.info.tags
        assert tags.cover is None and len(source.warnings) == 1 and "cover" in source.warnings[0]
    with StemWriter(tmp_path / f"out.{fmt}", OutputFormat.parse(fmt), 44100, 2, tags) as writer:
        writer.write(noise(5000))
        writer.commit()
    with open_source(tmp_path / f"out.{fmt}") as source:
        assert sum(block.shape[1] for block in source.blocks()) == 5000
