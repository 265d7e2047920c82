"""MPEG audio and WMA in AVI, ASF, FLV and Matroska: holes, joined songs and tags in front (faults E, F, O)."""

from pathlib import Path

import numpy as np
import pytest

from stemsplitter.audio.decode import open_source
from stemsplitter.errors import AudioError

from . import corpus
from .corpus import Samples
from .test_corpus import ID3V2

RATE = 44_100  # of those that FLV has
# Holes of 40 without a warning at most, by the suffix of the file; docs/formats.md says where.
UNTOLD = {"flv": 5, "mkv": 5, "mp3.wma": 5, "avi": 8, "wma": 33}


def encoded(folder: Path, name: str) -> bytes:
    """Encode the song of the corpus in a container named by its suffix."""
    path = folder / f"whole.{name}"
    write = (
        corpus.mux("wmav2", "fltp", RATE, 160_000)
        if name == "wma"
        else corpus.mux("libmp3lame", "fltp", RATE, 160_000)
    )
    write(path, corpus.song())
    return path.read_bytes()


def read(folder: Path, name: str, data: bytes) -> tuple[Samples, list[str]]:
    path = folder / f"read.{name}"
    path.write_bytes(data)
    with open_source(path) as source:
        samples = np.concatenate(list(source.blocks()), axis=1)
    return samples, source.warnings


@pytest.mark.parametrize("name", UNTOLD)
def test_e_hole_in_a_container_is_told_as_often_as_documented(tmp_path: Path, name: str) -> None:
    whole = encoded(tmp_path, name)
    song, warnings = read(tmp_path, name, whole)
    assert warnings == []
    untold, noisy = 0, 0
    for _, data in corpus.holes(whole):
        try:
            samples, warnings = read(tmp_path, name, data)
        except AudioError:  # in the header of the file
            continue
        untold += not warnings and not np.array_equal(samples, song)
        noisy += np.abs(samples).max() > 1.1 * corpus.PEAK
    assert untold <= UNTOLD[name]
    # A hole in side information, or a lost header of a chunk: the next frame takes bits of the lost one.
    assert noisy <= 2


@pytest.mark.parametrize("name", ["flv", "avi", "wma"])
def test_f_second_song_is_read_or_told(tmp_path: Path, name: str) -> None:
    whole = encoded(tmp_path, name)
    song, _ = read(tmp_path, name, whole)
    samples, warnings = read(tmp_path, name, whole + whole)
    told = f"{len(whole)} bytes follow the audio that the header states; they are not used."
    assert warnings == ([] if name == "avi" else [told])
    assert samples.shape[1] == song.shape[1] * (2 if name == "avi" else 1)


@pytest.mark.parametrize("name", ["flv", "avi", "wma"])
def test_o_tag_or_garbage_in_front_is_skipped(tmp_path: Path, name: str) -> None:
    whole = encoded(tmp_path, name)
    song, _ = read(tmp_path, name, whole)
    for before in (ID3V2, corpus.garbage(1000)):
        samples, warnings = read(tmp_path, name, before + whole)
        assert warnings == []
        np.testing.assert_array_equal(samples, song)
