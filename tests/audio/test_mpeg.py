"""Frames of MPEG audio and tags before and after them (faults A, E, K, L, M, O)."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemsplitter.audio import mpeg
from stemsplitter.audio.decode import open_source
from stemsplitter.errors import AudioError

RATE, SAMPLES = 44_100, 60_000
ID3V1 = b"TAG" + bytes(125)


def read(path: Path, data: bytes, **options):
    path.write_bytes(data)
    with open_source(path, **options) as source:
        return np.concatenate(list(source.blocks()), axis=1), source.warnings


@pytest.fixture
def song(tmp_path, noise, write):
    return write(tmp_path / "song.mp3", noise(SAMPLES), "mp3").read_bytes()


def ape_cover(size: int) -> bytes:
    cover = b"\xff\xd8\xff\xe0" + bytes(size)
    item = len(cover).to_bytes(4, "little") + (2).to_bytes(4, "little") + b"Cover Art (Front)\0" + cover
    head = b"APETAGEX" + (2000).to_bytes(4, "little") + (len(item) + 32).to_bytes(4, "little") + b"\1\0\0\0"
    return head + b"\0\0\0\xa0" + bytes(8) + item + head + b"\0\0\0\x80" + bytes(8)


def test_a5_ape_cover_at_the_end_does_not_count_as_length(tmp_path, song):
    samples, warnings = read(tmp_path / "song.mp3", song + ape_cover(150_000), max_seconds=2)
    assert samples.shape == (2, SAMPLES) and warnings == []


@pytest.mark.parametrize("zeros", [1, 4095, 4096, 10_000, 200_000])
def test_k2_zeros_before_the_first_frame_are_skipped(tmp_path, song, zeros):
    samples, warnings = read(tmp_path / "song.mp3", bytes(zeros) + song)
    assert samples.shape == (2, SAMPLES) and warnings == []


@pytest.mark.parametrize("between", [b"", ID3V1, ape_cover(100), bytes(1000), ID3V1 + bytes(300)])
def test_l3_each_concatenated_song_is_trimmed(tmp_path, song, noise, write, between):
    second = write(tmp_path / "second.mp3", noise(30_000, seed=1), "mp3:128").read_bytes()
    samples, warnings = read(tmp_path / "both.mp3", song + between + second)
    assert samples.shape == (2, SAMPLES + 30_000) and warnings == []


@pytest.mark.parametrize("ending", ["mp3", "aac"])
def test_m_song_after_a_mono_jingle_stays_stereo(tmp_path, noise, mux, ending):
    codec = {"mp3": "libmp3lame", "aac": "aac"}[ending]
    jingle = mux(tmp_path / f"jingle.{ending}", noise(20_000, 1), RATE, codec, "mono").read_bytes()
    song = mux(tmp_path / f"stereo.{ending}", noise(60_000), RATE, codec).read_bytes()
    samples, warnings = read(tmp_path / f"song.{ending}", jingle + song)
    assert samples.shape[0] == 2 and abs(samples.shape[1] - 80_000) <= 4 * 1152
    assert not np.array_equal(samples[0, 40_000:], samples[1, 40_000:])
    np.testing.assert_array_equal(samples[0, :15_000], samples[1, :15_000])
    assert warnings == []


def test_o_free_format_is_refused_with_the_reason(tmp_path, song):
    frame = bytearray(song[song.index(b"\xff\xfb") :][:4])
    frame[2] &= 0x0F
    (tmp_path / "free.mp3").write_bytes((bytes(frame) + bytes(range(1, 200)) * 4) * 50)
    with pytest.raises(AudioError, match=r"free\.mp3 is a free-format MP3"):
        open_source(tmp_path / "free.mp3")


@pytest.mark.parametrize(
    "head", [b"<!DOCTYPE html><html>", b"\xef\xbb\xbf\n <HTML>", b"<?xml version='1.0'?>"]
)
def test_o_web_page_is_refused_with_the_reason(tmp_path, head):
    (tmp_path / "song.mp3").write_bytes(head + b"<body>Not found</body>" * 100)
    with pytest.raises(AudioError, match=r"song\.mp3 is a web page, not a song"):
        open_source(tmp_path / "song.mp3")


def test_e_lost_frame_becomes_silence_and_the_rest_stays_aligned(tmp_path, song, decode):
    whole = decode(tmp_path / "song.mp3")
    frames = [at for at in range(len(song)) if mpeg.parse_mpeg(song, at) and song[at + 1] == 0xFB]
    at = frames[len(frames) // 2]
    samples, warnings = read(tmp_path / "song.mp3", song[:at] + bytes(50) + song[at + 50 :])
    assert samples.shape == whole.shape
    np.testing.assert_array_equal(samples[:, -20_000:], whole[:, -20_000:])
    assert len([warning for warning in warnings if "silent" in warning]) == 1


def test_parsed_frame_sizes_match_the_standard():
    assert mpeg.parse_mpeg(b"\xff\xfb\x90\x64", 0)[:4] == (417, 1152, 44_100, 2)
    assert mpeg.parse_mpeg(b"\xff\xfb\x92\xc4", 0)[:4] == (418, 1152, 44_100, 1)
    assert mpeg.parse_mpeg(b"\xff\xf3\x84\x64", 0)[:4] == (192, 576, 24_000, 2)
    assert mpeg.parse_mpeg(b"\xff\xfb\x00\x64", 0) is None and mpeg.is_free_format(b"\xff\xfb\x00\x64")


@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_parsed_without_error(data):
    for at in range(0, len(data), 7):
        mpeg.parse_mpeg(data, at)
        mpeg.parse_adts(data, at)
    mpeg.is_free_format(data)
