"""Names in messages."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemsplitter.audio.names import shown


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/music/song.mp3", "song.mp3"),
        ("two\nlines.wav", "two�lines.wav"),
        (os.fsdecode(b"caf\xe9.wav"), "caf�.wav"),
        ("x" * 300, "x" * 79 + "…"),
        ("音楽🎸.wav", "音楽🎸.wav"),
        ("/", "/"),
    ],
)
def test_shown(path, text):
    assert shown(path) == text


@given(st.binary(min_size=1).filter(lambda name: b"\0" not in name))
def test_always_one_printable_line(name):
    text = shown(os.fsdecode(name))
    assert text.isprintable() and len(text) <= 80
    text.encode()
