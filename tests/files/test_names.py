"""Names in messages."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemsplitter.files.names import file_name, shown


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


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("song", "song.zip"),
        ("", ".zip"),
        ("x" * 251, "x" * 251 + ".zip"),
        ("x" * 255, "x" * 251 + ".zip"),
        ("ü" * 127, "ü" * 125 + ".zip"),
        (os.fsdecode(b"\xff" * 255), os.fsdecode(b"\xff" * 251) + ".zip"),
    ],
)
def test_file_names_fit(stem, name):
    assert file_name(stem, ".zip") == name
    assert len(os.fsencode(name)) <= 255
