"""The built-in song and its stems."""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from stemsplitter.audio.decode import open_source
from stemsplitter.library.analyzing import analyze_song, to_data
from stemsplitter.separation.layouts import LAYOUTS, SIX_STEMS
from stemsplitter.test_mode.files import write_stems, write_voice, write_voice_and_noise
from stemsplitter.test_mode.song import RATE, SECONDS, render, write_song
from stemsplitter.worker.pool import Separated

SCALE = 2**23


def steps(path: str | Path) -> npt.NDArray[np.float64]:
    """Return the samples of a file in steps of 24 bits."""
    with open_source(path) as source:
        assert (source.info.sample_rate, source.info.channels) == (RATE, 2)
        return np.concatenate(list(source.blocks()), axis=1).astype(np.float64) * SCALE


def masters(separated: Separated) -> dict[str, npt.NDArray[np.float64]]:
    return {name: steps(master["path"]) for name, master in separated.masters.items()}


def test_song_is_music_that_does_not_clip(tmp_path: Path) -> None:
    song = write_song(tmp_path / "song.flac")
    samples = steps(song)
    assert samples.shape == (2, RATE * SECONDS) and (samples == np.rint(samples)).all()
    assert 0.3 * SCALE < np.abs(samples).max() < SCALE
    assert all(np.abs(stem).max() > 0.02 for stem in render())
    found = to_data(analyze_song(song))
    assert found["tempo"]["bpm"] == pytest.approx(120, abs=1)
    assert found["key"]["name"] in ("A minor", "C major")


# in wav24 the masters are the stems
@pytest.mark.parametrize(("layout", "fmt"), [("6s", "mp3"), ("4s", "wav24"), ("2s", "opus")])
def test_masters_of_a_layout_sum_to_the_song(tmp_path: Path, layout: str, fmt: str) -> None:
    separated = write_stems(LAYOUTS[layout], fmt, tmp_path)
    assert list(separated.stems) == list(separated.masters) == list(LAYOUTS[layout])
    total = sum(masters(separated).values())
    assert (total == steps(write_song(tmp_path / "song.wav"))).all()
    for name, path in separated.stems.items():
        with open_source(path) as source:
            assert source.info.tags.title == f"Demo ({name})"
    assert json.loads(Path(separated.overview).read_bytes())["samples"] == RATE * SECONDS


def test_sums_of_stems_are_those_of_the_song(tmp_path: Path) -> None:
    found = masters(write_stems(("drums", "other", "no_drums", "vocals", "bass"), "flac24", tmp_path))
    assert (found["other"] + found["vocals"] + found["bass"] == found["no_drums"]).all()


def test_instruments_that_the_song_has_not_are_silent(tmp_path: Path) -> None:
    found = masters(write_stems(SIX_STEMS, "flac24", tmp_path, ["vocals", "piano"]))
    silent = {name for name, samples in found.items() if not samples.any()}
    assert silent == {"drums", "bass", "guitar", "other"}
    assert (sum(found.values()) == steps(write_song(tmp_path / "song.wav"))).all()


def test_voice_and_noise_sum_to_the_song(tmp_path: Path) -> None:
    paths = write_voice_and_noise(tmp_path, "wav24")
    assert (steps(paths["voice"]) + steps(paths["noise"]) == steps(write_song(tmp_path / "song.wav"))).all()
    assert (steps(write_voice(tmp_path, "flac24")["audio"]) == steps(paths["voice"])).all()
    with open_source(write_voice(tmp_path, "opus")["audio"]) as source:  # which has no 44.1 kHz
        assert (source.info.sample_rate, source.info.channels) == (48_000, 2)
