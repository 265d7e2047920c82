"""Songs are judged whole, by the stems that are certain, with the shares that the list of instruments allows."""

import numpy as np
import pytest

from training.score import STEMS

pytestmark = pytest.mark.torch


def network_for(logits: list[float], presence: list[float]):
    """A network that gives every stem the same share everywhere."""
    import torch

    from training.network import BANDS

    class Constant(torch.nn.Module):
        def forward(self, features):
            shape = (len(features), 4, 6, 2, features.shape[2], BANDS)
            shares = (
                torch.tensor(logits)[:, None, None, None].expand(shape).reshape(len(features), 48, -1, BANDS)
            )
            return shares, torch.tensor(presence).expand(len(features), features.shape[2] // 8, 6)

    return Constant()


@pytest.fixture
def song():
    from training import data, examples

    random = np.random.default_rng(0)
    stems = {
        stem: random.normal(0, level, (data.SAMPLES, 2)).astype(np.float32)
        for stem, level in (("drums", 0.1), ("bass", 0.1), ("guitar", 0.01))
    }
    return [examples.make(stems, lambda mixture: mixture * 0)] * 2


def test_shares_of_stems_that_are_not_in_the_song_go_to_the_others(song):
    from training.judge import Judge

    sums, found = Judge(network_for([0, 0, 0, 0, 0, 9], [-9.0, 9, 9, 9, -9, -9])).song(song, "alone")
    drums, piano, other = (STEMS.index(stem) for stem in ("drums", "piano", "other"))
    assert found[drums] > 0.99 and found[other] < 0.01
    assert sums["all"].outputs[other] > 0.99 * sums["all"].mixture
    for name in ("listed", "found"):
        assert sums[name].outputs[[piano, other]].max() < 1e-3
        assert sums[name].errors[drums] < 0.7 * sums["all"].errors[drums]
    # a third of two equally loud stems: the error is 4/9 of the one and 1/9 of the other
    assert sums["listed"].sdr(True)[drums] == pytest.approx(10 * np.log10(9 / 5), abs=0.1)


def test_faint_stems_are_not_judged_and_other_only_where_it_holds_nothing_else(song):
    from training.judge import Judge

    sums, _ = Judge(network_for([0.0] * 6, [0.0] * 6)).song(song, "alone")
    sdr = sums["all"].sdr(True)
    assert np.isnan(sdr[[STEMS.index(stem) for stem in ("vocals", "guitar", "piano", "other")]]).all()
    assert not np.isnan(sdr[[STEMS.index(stem) for stem in ("drums", "bass")]]).any()
    sums["all"].energies[STEMS.index("other")] = sums["all"].mixture
    assert np.isnan(sums["all"].sdr(False)[STEMS.index("other")])
    assert not np.isnan(sums["all"].sdr(True)[STEMS.index("other")])


def test_the_loudest_absent_stem_counts(song):
    from training.judge import Judge

    sums, _ = Judge(network_for([0.0] * 6, [0.0] * 6)).song(song, "alone")
    listed = song[0].listed
    assert sums["all"].absent(listed) == pytest.approx(10 * np.log10(1 / 36), abs=0.1)
    assert sums["listed"].absent(listed) < -60
    assert np.isnan(sums["all"].absent(np.ones(6, bool)))


def test_what_is_given_may_be_kept_as_it_is(song):
    from training.given import GIVEN, allowed
    from training.judge import Judge

    listed = song[0].listed
    three = allowed(listed, GIVEN)
    assert [np.flatnonzero(row).tolist() for row in three] == [[3], [0], [1], [2]]
    assert allowed(listed).tolist() == [listed.tolist()] * 4
    sums, _ = Judge(network_for([0.0] * 6, [0.0] * 6)).song(song, "three")
    certain = [STEMS.index(stem) for stem in ("drums", "bass", "guitar")]
    assert (sums["kept"].errors[certain] < 1e-4 * sums["kept"].mixture).all()
    assert (sums["listed"].errors[certain] > 1e-3 * sums["listed"].mixture).all()
