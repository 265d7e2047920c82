"""A Separator with the toy model, and a song."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from stemsplitter.audio.encode import StemWriter
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.library import Separator
from tests.separation.toy_model import ToyModel, noise, toy_model

__all__ = ["noise", "toy_model"]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, toy_model: ToyModel) -> Callable[..., Separator]:
    """Call it for a Separator with the toy model, under the name of a model of the catalogue with the same stems."""
    monkeypatch.setattr("stemsplitter.catalogue.opening.load_model", lambda *_: toy_model)
    store = ModelStore(tmp_path / "models")
    return lambda **options: Separator("htdemucs", store=store, **options)


@pytest.fixture
def song(tmp_path: Path, mixture: NDArray[np.float32]) -> Path:
    """A WAV file of the test's mixture."""
    path = tmp_path / "Ein Lied.wav"
    with StemWriter(path, OutputFormat.parse("wav32f"), 44_100, 2) as writer:
        writer.write(mixture)
        writer.commit()
    return path
