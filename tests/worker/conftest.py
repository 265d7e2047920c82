"""A small model for tests, and songs for it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stemsplitter.catalogue.store import ModelStore
from stemsplitter.worker.process import SeparationRequest
from tests.acceptance.songs import encode, sung
from tests.acceptance.tiny_model import write_tiny_model

MODEL = "tiny_6s"


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder with one model, ``tiny_6s``: six stems, random weights, segments of a second."""
    cache = tmp_path_factory.mktemp("cache")
    ModelStore(cache / "models").add(MODEL, write_tiny_model(cache / "tiny.safetensors"))
    return cache


@pytest.fixture(scope="session")
def short_song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A song of two seconds."""
    return encode(tmp_path_factory.mktemp("song") / "Short.wav", sung(88_200), 44_100, "pcm_s16le")


@pytest.fixture(scope="session")
def long_song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A song of ten minutes, longer than any test waits for."""
    song = np.tile(sung(60 * 8_000, 1, 8_000), 10)
    return encode(tmp_path_factory.mktemp("song") / "Long.wav", song, 8_000, "pcm_s16le")


Make = Callable[..., SeparationRequest]


@pytest.fixture
def request_for(tmp_path: Path) -> Make:
    """Return a function that makes a request to separate a song into a temporary folder."""

    def make(
        source: Path,
        stems: tuple[str, ...] = ("vocals", "instrumental"),
        model: str = MODEL,
        folder: str = "stems",
    ) -> SeparationRequest:
        return SeparationRequest(model, stems, str(source), str(tmp_path / folder), "wav16", 900)

    return make
