import numpy as np
import pytest

from evaluation import references
from evaluation.datasets import Song
from evaluation.metrics import sdr
from evaluation.report import END, START, markdown, write
from evaluation.scores import Run, Score, evaluate, scored_truths
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


def test_the_transform_is_inverted(song):
    back = references.inverse(references.transform(song.mixture), LENGTH)
    np.testing.assert_allclose(back, song.mixture, atol=1e-5)


@pytest.mark.parametrize("layout", LAYOUTS.values())
def test_the_ideal_mask_gives_what_is_known_and_comes_near_it(song, layout):
    stems = references.ideal_ratio_mask(song, layout)
    assert set(stems) == {stem for stem in layout if song.truth(stem, layout) is not None}
    for stem, estimate in stems.items():
        assert sdr(song.truth(stem, layout), estimate) > 10


def test_the_percussive_part_is_nearer_to_the_drums_than_the_mixture(song):
    (estimate,) = references.percussive(song, LAYOUTS["4s"]).values()
    assert sdr(song.stems["drums"], estimate) > sdr(song.stems["drums"], song.mixture) + 5
    assert references.percussive(song, LAYOUTS["2s"]) == {}


def test_faint_stems_and_what_stands_beside_them_are_not_scored(song):
    assert set(dict(scored_truths(song, LAYOUTS["2s"]))) == {"vocals", "instrumental"}
    faint = Song("faint", song.stems | {"vocals": tone(440, 0.02)})
    assert set(dict(scored_truths(faint, LAYOUTS["2s"]))) == set()
    assert set(dict(scored_truths(faint, LAYOUTS["4s"]))) == {"drums", "bass", "other"}


def test_a_model_is_scored_in_the_layouts_it_gives(song):
    def separate(mixture):
        return {"vocals": song.stems["vocals"], "instrumental": mixture * np.float32(0.5)}

    scores, runs = evaluate([song], [("two", separate)])
    by_model = {(score.layout, score.stem): score.sdr for score in scores if score.method == "two"}
    assert set(by_model) == {("2s", "vocals"), ("2s", "instrumental")}
    assert by_model["2s", "vocals"] == np.inf
    (run,) = runs
    assert run.residual_dbfs > -40


def test_six_stems_are_scored_in_every_layout(song):
    def separate(mixture):
        return song.stems | {"guitar": song.stems["other"], "piano": -song.stems["other"]}

    scores, _ = evaluate([song], [("six", separate)])
    by_model = {(score.layout, score.stem): score.sdr for score in scores if score.method == "six"}
    assert {layout for layout, _ in by_model} == set(LAYOUTS)
    assert by_model["4s", "other"] > 100
    assert ("6s", "other") not in by_model


def test_every_reference_is_scored_beside_the_models(song):
    scores, _ = evaluate([song], [])
    assert {score.method for score in scores} == set(references.REFERENCES)


def test_samples_that_are_no_numbers_are_never_a_score(song):
    def separate(mixture):
        return dict.fromkeys(LAYOUTS["2s"], mixture * np.nan)

    with pytest.raises(ValueError, match="no numbers"):
        evaluate([song], [("broken", separate)])


def test_the_tables_hold_medians_songs_absent_stems_and_residuals():
    scores = [
        Score("one", "2s", "m", "vocals", sdr=1.0),
        Score("two", "2s", "m", "vocals", sdr=2.0),
        Score("three", "2s", "m", "vocals", sdr=9.0),
        Score("four", "2s", "m", "vocals", level=-40.0),
    ]
    tables = markdown(scores, [Run("one", "m", -130.0, -1.5), Run("two", "m", -120.0, -0.04)])
    assert "| m | 2.0 (3) |  |\n" in tables
    assert "| one | m | 1.0 |  |\n" in tables
    assert "| four | m | [−40.0] |  |\n" in tables
    assert "| m | 2 | −120.0 | 0.0 |\n" in tables


def test_the_readme_keeps_what_stands_around_the_results(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{START}old\n{END}after\n", encoding="utf-8")
    for _ in range(2):
        write(readme, "new")
    text = readme.read_text(encoding="utf-8")
    assert text == f"before\n{START}\nnew\n{END}after\n"
    readme.write_text("none", encoding="utf-8")
    with pytest.raises(ValueError, match="no place"):
        write(readme, "new")
