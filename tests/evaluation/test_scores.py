import numpy as np
import pytest

from evaluation import references
from evaluation.datasets import Song
from evaluation.metrics import sdr
from evaluation.report import END, START, markdown, write
from evaluation.scores import (
    Run,
    Score,
    absent_level,
    in_layout,
    run,
    score,
    scored_truths,
    without_each_stem,
)
from stemsplitter.separation.layouts import LAYOUTS

LENGTH = 20_000


def tone(frequency: float, level: float) -> np.ndarray:
    wave = level * np.sin(2 * np.pi * frequency * np.arange(LENGTH) / 44_100)
    return np.stack([wave, wave]).astype(np.float32)


def clicks(level: float) -> np.ndarray:
    wave = np.zeros((2, LENGTH), np.float32)
    wave[:, ::2500] = level
    return wave


@pytest.fixture
def song() -> Song:
    stems = {"vocals": tone(440, 0.2), "drums": clicks(5), "bass": tone(80, 0.2), "other": tone(3000, 0.2)}
    return Song("song", stems)


def test_transform_is_inverted(song):
    back = references.inverse(references.transform(song.mixture), LENGTH)
    np.testing.assert_allclose(back, song.mixture, atol=1e-5)


@pytest.mark.parametrize("layout", LAYOUTS.values())
def test_ideal_mask_estimates_known_stems(song, layout):
    stems = references.ideal_ratio_mask(song, layout)
    assert set(stems) == {stem for stem in layout if song.truth(stem, layout) is not None}
    for stem, estimate in stems.items():
        assert sdr(song.truth(stem, layout), estimate) > 10


def test_percussive_part_is_closer_to_drums_than_mixture(song):
    (estimate,) = references.percussive(song, LAYOUTS["4s"]).values()
    assert sdr(song.stems["drums"], estimate) > sdr(song.stems["drums"], song.mixture) + 5
    assert references.percussive(song, LAYOUTS["2s"]) == {}


def test_faint_stems_and_their_complement_are_not_scored(song):
    assert set(dict(scored_truths(song, LAYOUTS["2s"]))) == {"vocals", "instrumental"}
    faint = Song("faint", song.stems | {"vocals": tone(440, 0.02)})
    assert set(dict(scored_truths(faint, LAYOUTS["2s"]))) == set()
    assert set(dict(scored_truths(faint, LAYOUTS["4s"]))) == {"drums", "bass", "other"}


def test_medians_are_mirrored_at_the_ends():
    magnitude = np.random.default_rng(0).random((2, 20, 40), dtype=np.float32)
    half = references.MEDIAN // 2
    for axis in (1, 2):
        mirrored = np.take(magnitude, [abs(i) - (i < 0) for i in range(-half, half + 1)], axis=axis)
        first = np.take(references._median(magnitude, axis), 0, axis=axis)
        np.testing.assert_array_equal(first, np.median(mirrored, axis=axis))


def by_method(song, method, own):
    return {
        (each.layout, each.stem): each.sdr for each in score(song, {method: own}) if each.method == method
    }


def test_model_is_scored_in_every_layout_for_its_stems(song):
    own = {"vocals": song.stems["vocals"], "instrumental": song.mixture * np.float32(0.5)}
    found = by_method(song, "two", own)
    assert set(found) == {("6s", "vocals"), ("4s", "vocals"), ("2s", "vocals"), ("2s", "instrumental")}
    assert found["2s", "vocals"] == np.inf
    assert run(song, "two", own).residual_dbfs > -40


def test_six_stems_are_scored_in_every_layout(song):
    own = song.stems | {"guitar": song.stems["other"], "piano": -song.stems["other"]}
    found = by_method(song, "six", own)
    assert {layout for layout, _ in found} == set(LAYOUTS)
    assert found["4s", "other"] > 100
    assert ("6s", "other") not in found


def test_other_of_four_stems_is_not_other_of_six(song):
    assert set(in_layout(song.stems, LAYOUTS["6s"])) == {"vocals", "drums", "bass"}
    assert set(in_layout(song.stems, LAYOUTS["4s"])) == set(LAYOUTS["4s"])


def test_every_reference_is_scored(song):
    scores = list(score(song, {}))
    assert {each.method for each in scores} == set(references.REFERENCES)
    assert {each.sdr for each in scores if each.method == "silence"} == {0.0}


def test_non_finite_samples_are_refused(song):
    with pytest.raises(ValueError, match="not finite"):
        list(score(song, {"broken": dict.fromkeys(LAYOUTS["2s"], song.mixture * np.nan)}))


def test_level_of_removed_stem_is_scored(song):
    def separate(mixture):
        return {"vocals": mixture * np.float32(0.1), "instrumental": mixture * np.float32(0.9)}

    lacking = dict(without_each_stem(song))
    assert set(lacking) == {"vocals", "drums", "bass"}  # not `other`, which may contain a guitar
    np.testing.assert_allclose(lacking["bass"].mixture, song.mixture - song.stems["bass"], atol=1e-6)
    (found,) = absent_level(lacking["vocals"], "vocals", "two", separate)
    assert (found.sdr, found.level) == (None, pytest.approx(-20, abs=0.01))
    assert not list(absent_level(lacking["bass"], "bass", "two", separate))
    assert not list(without_each_stem(Song("two", {"guitar": tone(440, 0.2), "other": tone(80, 0.2)})))


def test_tables_have_medians_songs_absent_stems_and_residuals():
    scores = [
        Score("one", "2s", "m", "vocals", sdr=1.0),
        Score("two", "2s", "m", "vocals", sdr=2.0),
        Score("three", "2s", "m", "vocals", sdr=9.0),
        Score("four", "2s", "m", "vocals", level=-40.0),
    ]
    absent = [Score(f"{n} without bass", "6s", "m", "bass", level=n) for n in (-50.0, -30.0, -20.0, -np.inf)]
    tables = markdown(scores, absent, [Run("one", "m", -130.0, -1.5), Run("two", "m", -120.0, -0.04)])
    assert "| m | 2.0 (3) |  |\n" in tables
    assert "| one | m | 1.0 |  |\n" in tables
    assert "| four | m | [−40.0] |  |\n" in tables
    assert "| m |  |  | −40.0 / −20.0 (4) |  |  |  | −40.0 / −20.0 (4) |\n" in tables
    assert "without bass" not in tables
    assert "| m | 2 | −120.0 | 0.0 |\n" in tables


def test_readme_keeps_text_around_results(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{START}old\n{END}after\n", encoding="utf-8")
    for _ in range(2):
        write(readme, "new")
    text = readme.read_text(encoding="utf-8")
    assert text == f"before\n{START}\nnew\n{END}after\n"
    readme.write_text("none", encoding="utf-8")
    with pytest.raises(ValueError, match="no markers"):
        write(readme, "new")
