import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemsplitter.separation.consistency import HOP, MixtureConsistency

NAMES = 4
REST = 2


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32) * np.float32(0.1)


def run(mixture: np.ndarray, stems: np.ndarray, cuts: list[int] | None = None) -> np.ndarray:
    consistency = MixtureConsistency(len(stems), len(mixture), REST)
    out = []
    edges = [0, *sorted(cuts or []), mixture.shape[1]]
    for start, stop in itertools.pairwise(edges):
        out.append(consistency.push(mixture[:, start:stop], stems[..., start:stop]))
        assert stop - sum(piece.shape[-1] for piece in out) < MixtureConsistency.LATENCY
    return np.concatenate([*out, consistency.flush()], axis=-1)


def dbfs(signal: np.ndarray) -> float:
    return 20 * np.log10(np.sqrt(np.mean(np.square(signal, dtype=np.float64))) + 1e-20)


@given(st.integers(0, 6 * HOP), st.integers(1, 3), st.floats(0, 8, allow_subnormal=False), st.integers(0, 99))
def test_stems_sum_to_the_mixture(length, channels, gain, seed):
    stems = noise(NAMES, channels, length, seed=seed)
    mixture = noise(channels, length, seed=seed + 1) * np.float32(gain)
    out = run(mixture, stems)
    assert out.shape == stems.shape and out.dtype == np.float32
    if length:
        assert dbfs(out.sum(axis=0, dtype=np.float64) - mixture) < -115


@settings(deadline=None)
@given(st.integers(0, 9 * HOP), st.lists(st.integers(0, 9 * HOP), max_size=8))
def test_output_does_not_depend_on_the_pieces(length, cuts):
    stems, mixture = noise(NAMES, 2, length), noise(2, length, seed=1)
    cut = run(mixture, stems, [min(at, length) for at in cuts])
    np.testing.assert_array_equal(cut, run(mixture, stems))


def test_output_does_not_depend_on_pieces_of_one_sample():
    stems, mixture = noise(NAMES, 2, 3 * HOP), noise(2, 3 * HOP, seed=1)
    np.testing.assert_array_equal(run(mixture, stems, list(range(1, 3 * HOP))), run(mixture, stems))


def test_stems_that_sum_to_the_mixture_are_unchanged():
    stems = noise(NAMES, 2, 5 * HOP)
    np.testing.assert_allclose(run(stems.sum(axis=0), stems), stems, atol=1e-7)


def test_an_absent_stem_stays_silent():
    stems, mixture = noise(NAMES, 2, 5000), noise(2, 5000, seed=1)
    stems[0] = 0
    assert not run(mixture, stems)[0].any()


def test_a_nearly_silent_stem_stays_nearly_silent():
    stems, mixture = noise(NAMES, 2, 5000), noise(2, 5000, seed=1)
    stems[0] *= np.float32(1e-3)
    assert dbfs(run(mixture, stems)[0]) < -75


def test_the_rest_stem_gets_the_mixture_where_stems_are_silent():
    mixture = noise(2, 5000)
    out = run(mixture, np.zeros((NAMES, 2, 5000), np.float32))
    np.testing.assert_array_equal(out[REST], mixture)
    assert not np.delete(out, REST, axis=0).any()


def test_silence_stays_silent():
    assert not run(np.zeros((2, 5000), np.float32), np.zeros((NAMES, 2, 5000), np.float32)).any()


@pytest.mark.parametrize("level", [1e-30, 1e-12, 1e-6, 1e6])
def test_extreme_levels_stay_finite(level):
    stems, mixture = noise(NAMES, 2, 5000), noise(2, 5000, seed=1)
    out = run(mixture * np.float32(level), stems * np.float32(level))
    assert np.isfinite(out).all()
    np.testing.assert_allclose(out.sum(axis=0), mixture * np.float32(level), atol=level * 1e-6)


def test_the_stem_with_the_larger_error_improves():
    truth = noise(2, 2, 20 * HOP)
    truth[1] *= np.float32(0.05)
    estimate = truth + np.float32(0.2) * np.abs(truth) * noise(2, 2, 20 * HOP, seed=1) * 10
    out = MixtureConsistency(2, 2, rest=1)
    corrected = np.concatenate([out.push(truth.sum(axis=0), estimate), out.flush()], axis=-1)
    error_before = [dbfs(e - t) for e, t in zip(estimate, truth, strict=True)]
    error_after = [dbfs(e - t) for e, t in zip(corrected, truth, strict=True)]
    assert error_after[0] < error_before[0] - 10
    assert error_after[1] < error_before[1] + 1


def test_shares_change_continuously():
    stems = np.zeros((NAMES, 1, 8 * HOP), np.float32)
    stems[0, :, : 4 * HOP], stems[1, :, 4 * HOP :] = 0.5, 0.5
    added = run(np.full((1, 8 * HOP), 0.6, np.float32), stems) - stems
    assert np.abs(np.diff(added, axis=-1)).max() < 1e-3


def test_flush_resets_for_another_song():
    consistency = MixtureConsistency(NAMES, 2, REST)
    stems, mixture = noise(NAMES, 2, 5000), noise(2, 5000, seed=1)
    songs = [
        np.concatenate([consistency.push(mixture, stems), consistency.flush()], axis=-1) for _ in range(2)
    ]
    np.testing.assert_array_equal(*songs)
