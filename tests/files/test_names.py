"""File names: formatted for messages, joined, and portable."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemsplitter.files.names import file_name, plain_ending, plain_name, shown


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
def test_shown_is_the_printable_last_part(path, text):
    assert shown(path) == text


@given(st.binary(min_size=1).filter(lambda name: b"\0" not in name))
def test_shown_is_one_printable_line(name):
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
def test_file_name_fits_the_file_system(stem, name):
    assert file_name(stem, ".zip") == name
    assert len(os.fsencode(name)) <= 255


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\a\\b.mp3", "b.mp3"),
        ("a\x00b\x1b.mp3", "ab.mp3"),
        ("x" * 300 + ".flac", "x" * 195 + ".flac"),
        ("x" * 300, "x" * 200),
        (" . ", "file"),
        ("", "file"),
    ],
)
def test_plain_name_is_portable(name, plain):
    assert plain_name(name) == plain


@given(st.text(max_size=300))
def test_plain_name_is_stable(name):
    plain = plain_name(name)
    assert plain_name(plain) == plain and 0 < len(plain) <= 200 and plain.isprintable()


@pytest.mark.parametrize(
    ("name", "ending"), [("a.MP3", ".mp3"), ("a.tar.gz", ".gz"), ("a", ""), ("a.b c", "")]
)
def test_plain_ending_is_lower_case(name, ending):
    assert plain_ending(name) == ending
