from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stemsplitter.errors import ModelError
from stemsplitter.separation.architectures.spleeter import model as spleeter
from stemsplitter.separation.architectures.spleeter.model import SpleeterModel

Mask = Callable[[np.ndarray], np.ndarray]
BIN = 44_100 / 4096  # Hz
CHECKPOINTS = [Path("vocals.ckpt"), Path("instrumental.ckpt")]


class MaskRuntime:
    """A runtime whose network returns ``mask(magnitudes)``."""

    concurrency = 1
    device = "test"

    def __init__(self, mask: Mask) -> None:
        self._mask = mask

    def compile(self, network: Callable[[], Any], inputs: Mapping[str, tuple[int, ...]], cache: Path) -> Any:
        assert list(inputs.values()) == [(1, 2, 512, 1024)]

        def run(magnitude: np.ndarray) -> tuple[np.ndarray]:
            assert magnitude.shape == (1, 2, 512, 1024) and magnitude.dtype == np.float32
            return (self._mask(magnitude).astype(np.float32),)

        return run


def model(mask: Mask) -> SpleeterModel:
    return SpleeterModel(MaskRuntime(mask), CHECKPOINTS, Path("cache"))


def constant(value: float) -> Mask:
    return lambda magnitude: np.full_like(magnitude, value)


def noise(samples: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((2, samples), dtype=np.float32) * np.float32(0.1)


def sine(hertz: float, samples: int) -> np.ndarray:
    return np.tile(np.sin(2 * np.pi * hertz / 44_100 * np.arange(samples)), (2, 1)).astype(np.float32)


def test_a_mask_of_one_gives_the_mixture_to_the_vocals() -> None:
    separator = model(constant(1))
    mixture = noise(separator.segment)
    stems = separator.separate(mixture)
    assert separator.stems == ("vocals", "instrumental")
    assert stems.shape == (2, *mixture.shape) and stems.dtype == np.float32
    np.testing.assert_allclose(stems[0], mixture, atol=1e-6)  # from the first sample to the last
    np.testing.assert_allclose(stems[1], 0, atol=1e-6)


def test_stems_sum_to_the_mixture() -> None:
    rng = np.random.default_rng(1)
    separator = model(lambda magnitude: rng.random(magnitude.shape))
    mixture = noise(separator.segment)
    np.testing.assert_allclose(separator.separate(mixture).sum(axis=0), mixture, atol=1e-6)


def test_input_is_unnormalized_magnitudes() -> None:
    seen = []
    separator = model(lambda magnitude: seen.append(magnitude.copy()) or magnitude)
    separator.separate(sine(100 * BIN, separator.segment))
    assert seen[0][0, 0, 256].argmax() == 100
    assert seen[0][0, 0, 256].max() == pytest.approx(1024, rel=1e-3)  # half the sum of the window


def test_the_mask_above_the_networks_range_is_that_of_its_last_bins() -> None:
    def mask(magnitude: np.ndarray) -> np.ndarray:
        mask = np.zeros_like(magnitude)
        mask[..., -64:] = 0.25
        mask[:, 1, :, -64:] = 0.75
        return mask

    separator = model(mask)
    inner = slice(8192, -8192)
    high, low = (sine(bin_ * BIN, separator.segment) for bin_ in (1500, 500))
    vocals = separator.separate(high)[0]
    np.testing.assert_allclose(vocals[0, inner], 0.25 * high[0, inner], atol=1e-4)
    np.testing.assert_allclose(vocals[1, inner], 0.75 * high[1, inner], atol=1e-4)
    np.testing.assert_allclose(separator.separate(low)[0][:, inner], 0, atol=1e-4)


def test_silence_around_a_song_is_replaced_by_repetition() -> None:
    seen = []
    separator = model(lambda magnitude: seen.append(magnitude.copy()) or np.ones_like(magnitude))
    mixture = noise(separator.segment)
    mixture[:, : 100 * 1024] = 0
    mixture[:, -150 * 1024 :] = 0
    vocals = separator.separate(mixture)[0]
    (magnitude,) = seen[0]
    first, last = 100, 512 - 150  # frames that reach into the song
    np.testing.assert_array_equal(magnitude[:, :first], magnitude[:, last - first : last])
    np.testing.assert_array_equal(magnitude[:, last:], magnitude[:, first : first + 512 - last])
    assert magnitude[:, first:last].any(axis=(0, 2)).all()
    np.testing.assert_allclose(vocals, mixture, atol=1e-6)


def test_silence_stays_silent() -> None:
    separator = model(constant(0.5))
    assert not separator.separate(np.zeros((2, separator.segment), np.float32)).any()


def test_a_checkpoint_of_another_network_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    class ReadingRuntime(MaskRuntime):
        def compile(self, network: Callable[[], Any], inputs: Mapping[str, Any], cache: Path) -> Any:
            network()

    monkeypatch.setattr(
        spleeter, "read_numpy_pickle", lambda path: {"encoder.weight": np.zeros(3, np.float32)}
    )
    with pytest.raises(ModelError, match=r"^vocals\.ckpt is not a checkpoint of Spleeter's network"):
        SpleeterModel(ReadingRuntime(constant(1)), CHECKPOINTS, Path("cache"))
