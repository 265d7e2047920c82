"""Examples made ahead: what is stored is what was mixed; what is given varies, the truth does not."""

from pathlib import Path

import numpy as np
import pytest

from training.score import STEMS

pytestmark = pytest.mark.torch

soundfile = pytest.importorskip("soundfile")


def quiet(mixture):
    """A finder of vocals that finds next to nothing."""
    return mixture * np.float32(0.01)


def write_song(
    folder: Path, stems: tuple[str, ...], seconds: float = 20.0, silent: tuple[str, ...] = ()
) -> None:
    folder.mkdir(parents=True)
    random = np.random.default_rng(len(folder.name))
    for stem in stems:
        audio = random.normal(0, 0.05 * (stem not in silent), (int(seconds * 22_050), 2))
        soundfile.write(folder / f"{stem}.flac", audio, 22_050, "PCM_16")


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    write_song(tmp_path / "songs" / "song_00001", ("drums", "bass", "guitar"))
    write_song(tmp_path / "songs" / "song_00002", ("vocals", "drums", "piano", "other"), silent=("other",))
    (tmp_path / "songs" / "song_00003.partial").mkdir()
    return tmp_path / "songs"


def test_an_example_read_is_the_example_made(songs, tmp_path):
    from training import data, examples

    stems = data.Songs([songs / "song_00002"]).plain(0, 0.5)
    example = examples.make(stems, quiet, name="song")
    example.save(tmp_path / "one.npz")
    read = examples.load(tmp_path / "one.npz")
    assert read.stems == example.stems == tuple(STEMS.index(stem) for stem in ("vocals", "drums", "piano"))
    assert read.listed.tolist() == [True, True, False, False, True, True]
    assert read.name == "song"
    power = np.sum(example.pairs**2)
    assert np.sum((read.pairs - example.pairs) ** 2) < 1e-6 * power
    np.testing.assert_allclose(read.flatness, example.flatness, atol=5e-3)
    np.testing.assert_allclose(read.panning, example.panning, atol=1e-3)


def test_examples_depend_on_seed_and_number_alone_and_what_is_there_is_left_alone(songs, tmp_path):
    from training import examples

    out = tmp_path / "examples"
    out.mkdir()
    examples.write_mixed(songs, out, 2, 7, quiet)
    first, second = sorted(out.glob("*.npz"))
    before = first.stat().st_mtime_ns
    kept = examples.load(second)
    second.unlink()
    examples.write_mixed(songs, out, 2, 7, quiet)
    assert first.stat().st_mtime_ns == before
    np.testing.assert_array_equal(examples.load(second).pairs, kept.pairs)


def test_real_songs_are_cut_into_stretches_and_may_hide_anything_in_other(songs, tmp_path):
    from training import examples, given

    write_song(tmp_path / "real" / "one", ("vocals", "other"), 13.0)
    write_song(tmp_path / "real" / "another", ("bass", "other"), 7.0)
    out = tmp_path / "real-examples"
    out.mkdir()
    examples.write_stems(tmp_path / "real", out, quiet)
    assert sorted(path.name for path in out.glob("*")) == ["another_00.npz", "one_00.npz", "one_01.npz"]
    assert examples.load(out / "one_00.npz").listed.all()
    another = examples.load(out / "another_00.npz")
    assert another.listed.tolist() == [stem in ("bass", "other") for stem in STEMS]
    assert given.known(another, "spleeter").allowed.all()


def test_what_is_given_varies_and_the_truth_does_not(songs):
    from training import data, examples, given

    stems = data.Songs([songs / "song_00001"]).plain(0, 0.5)
    example = examples.make(stems, quiet)
    seen, keeping = set(), set()
    for seed in range(30):
        drawn = given.draw(example, np.random.default_rng(seed))
        flags = tuple(drawn.features[13:, 0, 0].astype(bool))
        seen.add(flags)
        for plane, flag in zip(((5, 6), (7, 8), (9, 10)), flags, strict=True):
            assert flag or np.allclose(
                drawn.features[list(plane)], -8, atol=1e-5
            )  # the last bit varies by processor
        there = [STEMS.index(stem) for stem in ("drums", "bass", "guitar")]
        ratios = drawn.energies[there] / drawn.energies[there].sum()
        np.testing.assert_allclose(ratios, 1 / 3, atol=0.03)
        assert drawn.energies[[0, 4, 5]].max() == 0
        rest, *own = drawn.allowed
        kept = [stem for stem, each in zip(("vocals", "drums", "bass"), own, strict=True) if each.sum() == 1]
        keeping.add(tuple(kept))
        for stem in there:
            assert rest[stem] != (STEMS[stem] in kept)
            assert drawn.allowed[:, stem].any()
        # the products of the signals with the stems sum to those of the mixture with them
        np.testing.assert_allclose(
            drawn.products.sum(axis=(0, 2, 3, 4))[there], drawn.energies[there], rtol=0.05
        )
    assert len(seen) > 4
    assert () in keeping and len(keeping) > 2


def test_given_stems_have_errors_of_every_size(songs):
    from training import data, examples, given

    stems = data.Songs([songs / "song_00001"]).plain(0, 0.5)
    example = examples.make(stems, quiet)
    number = STEMS.index("bass")
    ratios = []
    for seed in range(60):
        factors = given._imagined(example, number, np.random.default_rng(seed))
        error = factors.copy()
        error[example.stems.index(number)] -= 1
        wrong = np.einsum("itb,ijctb,jtb->", error, example.products, error, optimize=True)
        own = np.einsum("ctb->", example.products[example.stems.index(number), example.stems.index(number)])
        ratios.append(10 * np.log10(max(float(wrong), 1e-9) / float(own)))
    assert min(ratios) < -60
    assert np.quantile(ratios, 0.3) < -6 < np.quantile(ratios, 0.6) < 6


def test_mixtures_have_stems_of_several_songs_and_lack_some(songs):
    from training import data

    every = data.Songs([songs / "song_00001", songs / "song_00002"])
    mixtures = [tuple(every.mixed(np.random.default_rng(seed))) for seed in range(40)]
    assert {stem for each in mixtures for stem in each} == set(STEMS)
    assert any({"guitar", "piano"} <= set(each) for each in mixtures)
    assert any(len(each) == 1 for each in mixtures)
