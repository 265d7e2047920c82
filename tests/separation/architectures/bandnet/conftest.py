"""BandNet with a network whose logits are known."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stemsplitter.separation.architectures.bandnet import bands
from stemsplitter.separation.architectures.bandnet.model import BandNetModel
from stemsplitter.separation.architectures.spleeter.model import SpleeterMask
from stemsplitter.separation.layouts import SIX_STEMS

FRAMES = 512
SILENT = -1000.0  # a logit whose mask is 0 beside one of 0; less would be a denormal number, which is slow
Logits = Callable[[np.ndarray], np.ndarray]


class LogitsRuntime:
    """A runtime whose BandNet returns the logits ``logits(features)`` and whose Spleeter returns the mask ``vocals``.

    The logits are those of the first signals; the others have zeros.
    """

    concurrency = 1
    device = "test"

    def __init__(self, logits: Logits, vocals: float = 0.0) -> None:
        self._logits, self._vocals = logits, vocals

    def compile(self, network: Callable[[], Any], inputs: Mapping[str, tuple[int, ...]], cache: Path) -> Any:
        ((name, shape),) = inputs.items()
        if name == "magnitude":
            return lambda magnitude: (np.full_like(magnitude, self._vocals),)
        assert shape == (1, 16, FRAMES, bands.BANDS)

        def run(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            assert features.shape == shape and features.dtype == np.float32
            logits = np.zeros((2, 6, 2, FRAMES, bands.BANDS), np.float32)
            given = self._logits(features)
            logits[: len(given)] = given
            return logits.reshape(1, 24, FRAMES, bands.BANDS), np.zeros((1, FRAMES // 8, 6), np.float32)

        return run


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., BandNetModel]:
    """Call it for a model; ``vocals`` is the mask of Spleeter, None without Spleeter."""

    def make(logits: Logits, vocals: float | None = None) -> BandNetModel:
        runtime = LogitsRuntime(logits, vocals or 0.0)
        weights = tmp_path / "w.safetensors"
        weights.write_bytes(b"weights")
        mask = None if vocals is None else SpleeterMask(runtime, [], tmp_path)
        return BandNetModel(runtime, weights, tmp_path, mask)

    return make


Make = Callable[..., BandNetModel]


def only(instrumental: str, vocals: str = "vocals") -> Logits:
    """Assign the instrumental to one stem and the vocals to another."""
    logits = np.full((2, 6, 2, FRAMES, bands.BANDS), SILENT)
    logits[0, SIX_STEMS.index(instrumental)] = 0
    logits[1, SIX_STEMS.index(vocals)] = 0
    return lambda features: logits


def noise(samples: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((2, samples), dtype=np.float32) * np.float32(0.1)
