"""Ogg files: chained, cut from streams, and with damaged pages (faults E, F, G)."""

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stemsplitter.audio.decode import open_source
from stemsplitter.audio.ogg import checksum, find_links


def vorbis(path: Path, samples, rate: int) -> bytes:
    with soundfile.SoundFile(path, "w", rate, len(samples), format="OGG", subtype="VORBIS") as file:
        for start in range(0, samples.shape[1], 4096):
            file.write(np.ascontiguousarray(samples[:, start : start + 4096].T))
    return path.read_bytes()


def read(path: Path, data: bytes, **options):
    path.write_bytes(data)
    with open_source(path, **options) as source:
        return np.concatenate(list(source.blocks()), axis=1), source.warnings


def pages(data: bytes):
    at = 0
    while at < len(data):
        size = 27 + data[at + 26] + sum(data[at + 27 : at + 27 + data[at + 26]])
        yield bytearray(data[at : at + size])
        at += size


def later(data: bytes, samples: int) -> bytes:
    """Shift the granule positions as in a song cut from a stream after ``samples``."""
    out = b""
    for page in pages(data):
        granule = int.from_bytes(page[6:14], "little", signed=True)
        if granule > 0:
            page[6:14] = struct.pack("<q", granule + samples)
        page[22:26] = bytes(4)
        page[22:26] = struct.pack("<I", checksum(bytes(page)))
        out += page
    return out


def test_checksum_matches_libvorbis_pages(tmp_path, noise):
    for page in pages(vorbis(tmp_path / "song.ogg", noise(9000), 44_100)):
        stated = int.from_bytes(page[22:26], "little")
        page[22:26] = bytes(4)
        assert checksum(bytes(page)) == stated


@pytest.mark.parametrize(
    ("first", "second", "length"),
    [
        ((44_100, 2), (48_000, 2), 44_100 + 44_100),
        ((48_000, 2), (44_100, 1), 48_000 + 48_000),
        ((44_100, 2), (44_100, 1), 88_200),
        ((44_100, 1), (44_100, 2), 88_200),
        ((22_050, 1), (44_100, 2), 44_100),
    ],
)
def test_f1_second_song_of_a_chain_is_decoded(tmp_path, noise, first, second, length):
    songs = [noise(rate, channels, seed=channels) for rate, channels in (first, second)]
    parts = [
        vorbis(tmp_path / f"{number}.ogg", song, rate)
        for number, (song, (rate, _)) in enumerate(zip(songs, (first, second), strict=True))
    ]
    samples, warnings = read(tmp_path / "chain.ogg", b"".join(parts))
    assert samples.shape == (2, length)
    assert np.abs(samples[:, first[0] + 1000 :]).max() > 0.3
    assert [("sample rate changes" in warning) for warning in warnings] == [True] * (first[0] != second[0])
    with (tmp_path / "chain.ogg").open("rb") as file:
        assert len(find_links(file)) == 2


@pytest.mark.parametrize("seconds", [600, 3600, 100_000])
def test_g1_g2_vorbis_cut_from_a_stream_is_exact(tmp_path, noise, seconds):
    data = vorbis(tmp_path / "song.ogg", noise(100_000), 44_100)
    whole, _ = read(tmp_path / "song.ogg", data)
    samples, warnings = read(tmp_path / "later.ogg", later(data, 44_100 * seconds), max_seconds=3)
    assert warnings == []
    np.testing.assert_array_equal(samples, whole)


@pytest.mark.parametrize("seconds", [600, 3600])
def test_g1_g2_opus_cut_from_a_stream_is_exact(tmp_path, noise, mux, seconds):
    data = mux(tmp_path / "song.opus", noise(100_000), 48_000, "libopus").read_bytes()
    samples, warnings = read(tmp_path / "later.opus", later(data, 48_000 * seconds), max_seconds=3)
    assert warnings == [] and samples.shape == (2, 100_000)


def test_song_without_its_last_page_warns(tmp_path, noise):
    data = b"".join(list(pages(vorbis(tmp_path / "song.ogg", noise(100_000), 44_100)))[:-1])
    samples, warnings = read(tmp_path / "song.ogg", data)
    assert 50_000 < samples.shape[1] < 100_000
    assert len(warnings) == 1 and "cut short" in warnings[0]


def test_e_damaged_page_becomes_silence_of_its_length(tmp_path, noise):
    signal = noise(150_000)
    data = list(pages(vorbis(tmp_path / "song.ogg", signal, 44_100)))
    data[4][100:150] = bytes(50)
    samples, warnings = read(tmp_path / "song.ogg", b"".join(data))
    assert abs(samples.shape[1] - 150_000) <= 2048
    assert len(warnings) == 1 and "damaged" in warnings[0] and "silent" in warnings[0]
