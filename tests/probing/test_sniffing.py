import io
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemsplitter.probing.sniffing import HEAD_BYTES, not_media

_TYPES = {"flt": "f4", "fltp": "f4", "s16": "i2", "s16p": "i2", "s32": "i4", "s32p": "i4"}


def encoded(container: str, codec: str, sample_format: str, rate: int = 44100) -> bytes:
    """Return 0.2 s of noise encoded by FFmpeg."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate)
        stream.layout, stream.format = "stereo", sample_format
        stream.bit_rate = 128_000
        size = stream.codec_context.frame_size or 1024
        for start in range(0, rate // 5, size):
            noise = np.random.default_rng(start).integers(-9000, 9000, (2, size))
            data = (noise / 2**15 if sample_format.startswith("fl") else noise).astype(_TYPES[sample_format])
            array = np.ascontiguousarray(data if sample_format.endswith("p") else data.T.reshape(1, -1))
            frame = av.AudioFrame.from_ndarray(array, format=sample_format, layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


@pytest.mark.parametrize(
    ("container", "codec", "sample_format"),
    [
        ("wav", "pcm_s16le", "s16"),
        ("w64", "pcm_s16le", "s16"),
        ("aiff", "pcm_s16be", "s16"),
        ("caf", "pcm_s16le", "s16"),
        ("au", "pcm_s16be", "s16"),
        ("flac", "flac", "s16"),
        ("ogg", "flac", "s16"),
        ("tta", "tta", "s16"),
        ("wv", "wavpack", "s16p"),
        ("adts", "aac", "fltp"),
        ("ipod", "aac", "fltp"),
        ("mov", "pcm_s16le", "s16"),
        ("mp4", "aac", "fltp"),
        ("matroska", "flac", "s16"),
        ("webm", "libopus", "flt"),
        ("ac3", "ac3", "fltp"),
        ("eac3", "eac3", "fltp"),
        ("mp2", "mp2", "s16"),
        ("mpegts", "aac", "fltp"),
        ("mpeg", "mp2", "s16"),
        ("avi", "pcm_s16le", "s16"),
        ("flv", "aac", "fltp"),
        ("asf", "wmav2", "fltp"),
    ],
)
def test_media_files_written_by_ffmpeg_are_accepted(container: str, codec: str, sample_format: str) -> None:
    data = encoded(container, codec, sample_format, 48000 if codec == "libopus" else 44100)
    assert not_media(data[:HEAD_BYTES]) == ""


MP3 = b"\xff\xfb\x90\x64" + bytes(range(200))


@pytest.mark.parametrize(
    "head", [MP3, b"ID3\x04" + bytes(600), bytes(1000) + MP3, b"\x9b\x01rest of a frame\xf7" * 9 + MP3]
)
def test_mp3_with_leading_bytes_is_accepted(head: bytes) -> None:
    assert not_media(head) == ""


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"\n  <HTML lang=de>", "a web page"),
        (b"\xef\xbb\xbf<script>alert(1)</script>" + MP3, "a web page"),
        (b"<?xml version='1.0'?><x/>", "an XML file"),
        (b"<svg xmlns=''/>", "an XML file"),
        (b"MZ\x90\0" + MP3, "a program"),
        (b"\x7fELF\x02\x01" + MP3, "a program"),
        (b"#!/bin/sh\n", "a program"),
        (b"PK\x03\x04" + MP3, "an archive"),
        (b"\x1f\x8b\x08" + MP3, "an archive"),
        (b"\x89PNG\r\n\x1a\n", "a picture"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "a picture"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "a picture"),
        (b"%PDF-1.7\n", "a document"),
        (b"#EXTM3U\nhttp://example.com/a.mp3\n", "a playlist"),
        (b'{"success": false}', "a text file"),
        (b"Not found", "a text file"),
        (b"", "a text file"),
    ],
)
def test_other_kind_of_file_is_named(head: bytes, kind: str) -> None:
    assert not_media(head) == kind


@pytest.mark.parametrize(
    "head",
    [
        bytes(500),
        b"\x01\x02\x03\x04" * 100,
        b"\0\0\0\x10stypmsdh\0\0\0\0" + bytes(500),
        b"\0\0\0\x08pnot" + bytes(500),
        b"\0\0\0\x18uuid" + bytes(500),
        bytes(10_000) + MP3,
    ],
)
def test_k_unknown_file_is_left_to_the_decoder(head: bytes) -> None:
    """So uploads, URLs and the command accept the same files."""
    assert not_media(head[:HEAD_BYTES]) == ""


@given(st.binary(max_size=300))
def test_any_bytes_are_classified(head: bytes) -> None:
    assert isinstance(not_media(head), str)


@given(st.text())
def test_ascii_text_is_refused(text: str) -> None:
    assert not_media(text.encode("ascii", "ignore").translate(None, bytes([*range(32), 127]))) != ""
