import io
import zipfile

import av
import numpy as np
import pytest
import soundfile

from evaluation.datasets import SAMPLE_RATE, STEMPEG_STREAMS, Song, read_devset, read_sectoid, read_stempeg
from stemsplitter.separation.layouts import LAYOUTS, SIX_STEMS

SIX, FOUR, TWO = LAYOUTS["6s"], LAYOUTS["4s"], LAYOUTS["2s"]


def noise(seed: int, length: int = 1000) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((2, length)) * 0.05).astype(np.float32)


def song(*names: str, absent: tuple[str, ...] = ()) -> Song:
    return Song("song", {name: noise(SIX_STEMS.index(name)) for name in names}, frozenset(absent))


def known(of: Song, layout: tuple[str, ...]) -> set[str]:
    return {stem for stem in layout if of.truth(stem, layout) is not None}


@pytest.mark.parametrize("layout", LAYOUTS.values())
def test_six_true_stems_sum_to_mixture_in_every_layout(layout):
    whole = song(*SIX_STEMS)
    truths = [whole.truth(stem, layout) for stem in layout]
    np.testing.assert_allclose(np.sum(truths, axis=0), whole.mixture, atol=1e-6)


def test_four_true_stems_do_not_determine_guitar_piano_other():
    four = song("vocals", "drums", "bass", "other")
    assert known(four, SIX) == {"vocals", "drums", "bass"}
    assert known(four, FOUR) == set(FOUR)
    np.testing.assert_array_equal(four.truth("other", FOUR), four.stems["other"])
    np.testing.assert_allclose(
        four.truth("instrumental", TWO), four.mixture - four.stems["vocals"], atol=1e-6
    )


def test_other_is_unknown_if_it_may_contain_bass():
    assert known(song("vocals", "drums", "other"), FOUR) == {"vocals", "drums"}
    assert known(song("vocals", "drums", "other"), TWO) == {"vocals", "instrumental"}


def test_guitar_and_rest_determine_only_guitar():
    lead = song("guitar", "other")
    assert known(lead, SIX) == {"guitar"}
    assert known(lead, FOUR) == known(lead, TWO) == set()


def test_stem_is_absent_only_if_stated():
    names = ("drums", "bass", "guitar", "piano", "other")
    assert known(song(*names), SIX) == {"drums", "bass", "guitar", "piano"}
    stated = song(*names, absent=("vocals",))
    assert known(stated, SIX) == set(SIX)
    assert not stated.truth("vocals", SIX).any()
    np.testing.assert_allclose(stated.truth("instrumental", TWO), stated.mixture, atol=1e-6)


def test_other_of_four_stems_contains_guitar_and_piano():
    whole = song(*SIX_STEMS)
    expected = whole.stems["guitar"] + whole.stems["piano"] + whole.stems["other"]
    np.testing.assert_allclose(whole.truth("other", FOUR), expected, atol=1e-6)
    np.testing.assert_array_equal(whole.truth("other", SIX), whole.stems["other"])


def write(folder, **stems):
    folder.mkdir(parents=True)
    for name, samples in stems.items():
        soundfile.write(folder / f"{name}.flac", samples.T, SAMPLE_RATE)


def test_devset_folder_is_read(tmp_path):
    write(tmp_path / "one", vocals=noise(1), other=noise(2), mixture=noise(1) + noise(2))
    write(tmp_path / "no mixture here", vocals=noise(1))
    (one,) = read_devset(tmp_path)
    assert (one.name, set(one.stems)) == ("one", {"vocals", "other"})
    np.testing.assert_allclose(one.stems["vocals"], noise(1), atol=1e-4)


@pytest.mark.parametrize(
    ("stems", "message"),
    [
        ({"vocals": noise(1), "mixture": noise(2)}, "do not sum"),
        ({"voice": noise(1), "mixture": noise(1)}, "stems other than"),
        ({"vocals": noise(1)[:1], "mixture": noise(1)}, "not 44.1 kHz stereo"),
    ],
)
def test_invalid_devset_folder_is_refused(tmp_path, stems, message):
    write(tmp_path / "one", **stems)
    with pytest.raises(ValueError, match=message):
        list(read_devset(tmp_path))


def test_middle_of_long_song_is_used(tmp_path, monkeypatch):
    monkeypatch.setattr("evaluation.datasets.SECTOID_SECONDS", 1)
    folder = tmp_path / "rock"
    folder.mkdir()
    for name in ("guitar", "song"):
        samples = np.zeros((3 * SAMPLE_RATE, 2), np.float32)
        samples[SAMPLE_RATE : 2 * SAMPLE_RATE] = 0.25
        soundfile.write(folder / f"{name}.ogg", samples, SAMPLE_RATE)
    (rock,) = read_sectoid(tmp_path)
    assert rock.mixture.shape == (2, SAMPLE_RATE)
    assert abs(float(np.median(rock.mixture)) - 0.5) < 0.1


def test_missing_songs_are_skipped(tmp_path):
    assert list(read_sectoid(tmp_path / "nowhere")) == []
    assert list(read_devset(tmp_path / "nowhere")) == []


def test_streams_of_stem_file_are_in_order(tmp_path):
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        streams = [container.add_stream("aac", rate=SAMPLE_RATE, layout="stereo") for _ in STEMPEG_STREAMS]
        for number, stream in enumerate(streams):
            tone = 0.1 * number * np.sin(np.arange(8 * 1024, dtype=np.float32) / 50)
            frame = av.AudioFrame.from_ndarray(np.stack([tone, tone]).astype(np.float32), "fltp", "stereo")
            frame.sample_rate = SAMPLE_RATE
            container.mux([*stream.encode(frame), *stream.encode(None)])
    wheel = tmp_path / "stempeg-0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("stempeg/data/song.stem.mp4", file.getvalue())
    song = read_stempeg(wheel)
    assert tuple(song.stems) == STEMPEG_STREAMS[1:]
    for number, stem in enumerate(song.stems.values(), 1):
        assert np.sqrt(2) * stem[:, 2048:6144].std() == pytest.approx(0.1 * number, rel=0.1)
