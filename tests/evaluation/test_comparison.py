import numpy as np

from evaluation.comparison import TRUTH, compare
from evaluation.datasets import Song
from evaluation.scores import score


def noise(seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((2, 8000)) * 0.1).astype(np.float32)


def rows(song: Song, estimates: dict[str, dict[str, np.ndarray]]) -> dict[str, set[str]]:
    comparison = compare(song, estimates, ())
    assert comparison.columns == (TRUTH, *estimates)
    return {row.stem: set(row.sounds) for row in comparison.rows}


TWO = {"vocals": noise(10), "instrumental": noise(11)}
FOUR = {"drums": noise(12), "bass": noise(13), "other": noise(14), "vocals": noise(15)}
SIX = FOUR | {"guitar": noise(16), "piano": noise(17)}


def test_six_stems_and_two_share_a_comparison():
    song = Song("song", {name: noise(seed) for seed, name in enumerate(SIX)})
    found = rows(song, {"six": SIX, "two": TWO})
    assert list(found) == ["vocals", "drums", "bass", "guitar", "piano", "other", "instrumental"]
    assert found["vocals"] == found["instrumental"] == {TRUTH, "six", "two"}
    assert all(found[stem] == {TRUTH, "six"} for stem in ("drums", "bass", "guitar", "piano", "other"))


def test_other_of_unknown_content_is_a_separate_row():
    song = Song("song", {"vocals": noise(0), "other": noise(1)})
    assert rows(song, {"six": SIX})["other"] == {"six"}
    assert rows(song, {"six": SIX})["the rest of the song"] == {TRUTH}


def test_other_of_four_stems_is_a_separate_row():
    song = Song("song", {"vocals": noise(0), "drums": noise(1), "bass": noise(2), "other": noise(3)})
    found = rows(song, {"six": SIX, "four": FOUR})
    assert found["other"] == {"six"}
    assert found["other, with guitar and piano"] == {TRUTH, "six", "four"}
    assert "the rest of the song" not in found


def test_titles_show_figure_absence_or_not_scored():
    song = Song("song", {"drums": noise(1), "other": noise(2)}, frozenset({"vocals"}))
    estimates = {"six": SIX | {"drums": 0 * noise(1)}}
    by_stem = {row.stem: row for row in compare(song, estimates, score(song, estimates)).rows}
    assert by_stem["drums"].title("six") == "drums by six: 0.0 dB"
    assert by_stem["vocals"].title(TRUTH) == "vocals, truth: absent"
    assert by_stem["vocals"].title("six").startswith("vocals by six: [")
    assert by_stem["guitar"].title("six") == "guitar by six: not scored"
    assert by_stem["the rest of the song"].title(TRUTH) == "the rest of the song, truth"
