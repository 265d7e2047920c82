"""The network of the tempo: what is trained is what the package computes."""

from pathlib import Path

import numpy as np
import pytest

from training.composer import compose
from training.sketch import RATE, sketch

pytestmark = pytest.mark.torch


def test_sketch_begins_its_notes_where_the_song_does() -> None:
    song = compose(np.random.default_rng(1))
    mixture, drums = sketch(song, np.random.default_rng(2))
    assert mixture.shape == drums.shape and mixture.dtype == np.float32 and np.isfinite(mixture).all()
    notes = [note for part in song.parts if part.stem == "drums" for note in part.notes]
    first = int(min(note.start for note in notes) * RATE)
    assert not drums[:first].any() and np.abs(drums[first : first + RATE // 10]).max() > 0.01


def test_package_computes_what_was_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from stemsplitter.analysis import tempo as package
    from training.tempo import FEATURES_PER_TEMPO, export, measure, network

    measured, true = measure(1, 0)
    assert measured.shape[0] == 2 and measured.shape[2] == FEATURES_PER_TEMPO and 40 < true < 240
    model = network()
    export(model, tmp_path / "tempo.npz")
    monkeypatch.setattr(package, "WEIGHTS", tmp_path / "tempo.npz")
    seen = measured[0, : len(package.TEMPI)]
    scores = package.score(seen, package.TEMPI)
    values = torch.tensor(package.inputs(seen, package.TEMPI), dtype=torch.float32)
    np.testing.assert_allclose(scores, model(values)[:, 0].detach().numpy(), atol=1e-5)


def test_songs_that_are_faster_have_the_features_of_slower_tempi() -> None:
    from training.tempo import MARGIN, TEMPI, Examples

    features = np.arange(len(TEMPI) + 2 * MARGIN, dtype=np.float32)[None, :, None].repeat(2, 0)
    examples = Examples([(features, 120.0)], np.random.default_rng(0))
    shifted = np.array([5])
    values, targets = examples._examples(np.array([0]), np.array([0]), shifted)
    assert values[0, 0, 0] == MARGIN - 5
    assert TEMPI[int(targets[0].argmax())] == pytest.approx(120 * 2 ** (5 / 64), rel=0.01)
