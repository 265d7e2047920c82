"""The network of the key: what is trained is what the package computes, and labels are those of the songs."""

from pathlib import Path

import numpy as np
import pytest

from training.composer import compose

pytestmark = pytest.mark.torch


def test_package_computes_what_was_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from stemsplitter.analysis import keys as package
    from training.key import Network, export

    torch.manual_seed(0)
    seen = np.random.default_rng(0).uniform(0, 3, (12, 48)).astype(np.float32)
    model = Network(torch.rand(48), torch.rand(48) + 0.5).eval()
    export(model, tmp_path / "key.npz")
    monkeypatch.setattr(package, "WEIGHTS", tmp_path / "key.npz")
    scores = package.score(seen)
    profiles = torch.tensor(package.profile_scores(seen).ravel(), dtype=torch.float32)
    expected = model.keys(torch.tensor(seen)[None], profiles[None])
    np.testing.assert_allclose(scores.ravel(), expected.detach().numpy()[0], atol=1e-4)


def test_measured_song_has_the_key_that_the_composer_chose() -> None:
    from training.key import KEYLESS, measure

    random = np.random.default_rng((11, 0))
    song = compose(random)
    assert random.random() > KEYLESS
    found, key = measure(11, 0)
    assert found.shape[1] == 24 and np.isfinite(found).all() and len(found) > 60
    assert key == song.tonic + 12 * (song.mode == "minor")


def test_songs_without_a_key_favor_none() -> None:
    from training.key import examples, without_key

    song = compose(np.random.default_rng(3))
    drums = [part for part in song.parts if part.stem == "drums"]
    for seed in range(4):
        changed = without_key(song, np.random.default_rng(seed))
        assert [part for part in changed.parts if part.stem == "drums"] == drums
        assert changed != song
    measured = np.ones((60, 24), np.float32)
    values, profiles, targets = examples([(measured, -1), (measured, 17)], np.random.default_rng(0))
    assert values.shape[1:] == (12, 48) and profiles.shape == targets.shape == (len(values), 24)
    half = len(values) // 2
    assert targets[:half].std() == pytest.approx(0, abs=1e-6)
    assert targets[half:].argmax(1).tolist() == [17] * half
    np.testing.assert_allclose(targets.sum(1), 1, atol=1e-5)
