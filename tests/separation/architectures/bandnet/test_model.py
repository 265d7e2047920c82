from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from stemsplitter.catalogue.entries import ShippedSource, load_catalogue
from stemsplitter.errors import ModelError
from stemsplitter.separation.architectures.bandnet import bands
from stemsplitter.separation.architectures.bandnet import model as bandnet
from stemsplitter.separation.architectures.bandnet.model import ALONE, BandNetModel
from stemsplitter.separation.layouts import SIX_STEMS

from .conftest import FRAMES, SILENT, LogitsRuntime, Make, noise, only

BIN = 44_100 / 4096  # Hz


def sine(hertz: float, samples: int) -> np.ndarray:
    return np.tile(np.sin(2 * np.pi * hertz / 44_100 * np.arange(samples)), (2, 1)).astype(np.float32)


def given(model: BandNetModel, mixture: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(model.stems, model.separate(mixture), strict=True))


@pytest.mark.parametrize("stem", SIX_STEMS)
def test_a_stem_with_all_masks_gets_the_mixture(make: Make, stem: str) -> None:
    model = make(only(stem))
    mixture = noise(model.segment)
    stems = given(model, mixture)
    assert tuple(stems) == SIX_STEMS
    for name, samples in stems.items():
        assert samples.shape == mixture.shape and samples.dtype == np.float32
        expected = mixture if name == stem else 0
        np.testing.assert_allclose(samples, expected, atol=1e-6)  # from the first sample to the last


@pytest.mark.parametrize("vocals", [None, 0.3])
def test_stems_sum_to_the_mixture(make: Make, vocals: float | None) -> None:
    rng = np.random.default_rng(1)
    model = make(lambda features: 3 * rng.standard_normal((2, 6, 2, FRAMES, bands.BANDS)), vocals)
    mixture = noise(model.segment)
    stems = model.separate(mixture)
    np.testing.assert_allclose(stems.sum(axis=0), mixture, atol=1e-6)
    assert all(np.square(stem).mean() > 1e-6 for stem in stems)


def test_equal_logits_give_equal_stems(make: Make) -> None:
    model = make(lambda features: np.zeros((2, 6, 2, FRAMES, bands.BANDS)), 0.5)
    mixture = noise(model.segment)
    for stem in model.separate(mixture):
        np.testing.assert_allclose(stem, mixture / 6, atol=1e-6)


@pytest.mark.parametrize("instruments", [("guitar", "piano"), ("vocals",), ("drums", "other")])
def test_shares_of_absent_instruments_go_to_the_others(make: Make, instruments: tuple[str, ...]) -> None:
    model = make(lambda features: np.zeros((2, 6, 2, FRAMES, bands.BANDS)), 0.5)
    mixture = noise(model.segment)
    for name, samples in given(model.for_instruments(instruments), mixture).items():
        expected = mixture / len(instruments) if name in instruments else np.zeros_like(mixture)
        np.testing.assert_allclose(samples, expected, atol=1e-6)
    assert all(stem.any() for stem in model.separate(mixture))  # the model itself is unchanged


def test_extracted_vocals_have_masks_of_their_own(make: Make) -> None:
    mixture = None
    for to, expected in (("vocals", {"vocals": 0.25, "drums": 0.75}), ("drums", {"drums": 1.0})):
        model = make(only("drums", vocals=to), 0.25)
        mixture = noise(model.segment)
        for name, samples in given(model, mixture).items():
            np.testing.assert_allclose(samples, expected.get(name, 0) * mixture, atol=1e-6)


def test_masks_of_the_vocals_are_ignored_without_another_model(make: Make) -> None:
    model = make(only("bass", vocals="guitar"))
    mixture = noise(model.segment)
    np.testing.assert_allclose(given(model, mixture)["bass"], mixture, atol=1e-6)


def test_middle_and_side_have_masks_of_their_own(make: Make) -> None:
    logits = np.full((2, 6, 2, FRAMES, bands.BANDS), SILENT)
    logits[0, SIX_STEMS.index("bass"), 0] = 0
    logits[0, SIX_STEMS.index("guitar"), 1] = 0
    model = make(lambda features: logits)
    mixture = noise(model.segment)
    stems = given(model, mixture)
    middle = (mixture[0] + mixture[1]) / 2
    np.testing.assert_allclose(stems["bass"], [middle, middle], atol=1e-6)
    np.testing.assert_allclose(stems["guitar"], mixture - middle, atol=1e-6)


def test_each_band_has_a_mask_and_bins_above_use_the_last_one(make: Make) -> None:
    band = int(np.searchsorted(bands.EDGES, 500, side="right")) - 1
    logits = np.full((2, 6, 2, FRAMES, bands.BANDS), SILENT)
    logits[:, SIX_STEMS.index("other")] = 0
    for chosen, name in ((band, "piano"), (-1, "drums")):
        logits[..., chosen] = SILENT
        logits[:, SIX_STEMS.index(name), ..., chosen] = 0
    model = make(lambda features: logits)
    inner = slice(8192, -8192)
    middle_of_band = (bands.EDGES[band] + bands.EDGES[band + 1]) // 2
    for bin_, name in ((middle_of_band, "piano"), (1500, "drums"), (50, "other")):
        mixture = sine(bin_ * BIN, model.segment)
        stem = given(model, mixture)[name]
        np.testing.assert_allclose(stem[:, inner], mixture[:, inner], atol=1e-3)


def test_a_sine_at_full_scale_has_a_power_of_one(make: Make) -> None:
    seen: list[np.ndarray] = []
    model = make(lambda features: seen.append(features.copy()) or only("other")(features), 0.5)
    tone = sine(40 * BIN, model.segment) * np.float32(np.sqrt(0.5))
    model.separate(tone)  # both channels alike: all of it is in the middle, 3 dB louder
    instrumental, vocals = seen[0][0, 0, 256], seen[0][0, 5, 256]
    assert instrumental.argmax() == vocals.argmax() == 40
    assert instrumental[40] == pytest.approx(np.log10(0.25), abs=1e-3)
    assert vocals[40] == pytest.approx(np.log10(0.25), abs=1e-3)
    np.testing.assert_allclose(seen[0][0, 1, 256], np.log10(bands.FLOOR), atol=1e-3)  # nothing in the side
    assert seen[0][0, 11, 256, 40] == pytest.approx(0, abs=1e-3)  # the mixture
    np.testing.assert_array_equal(seen[0][0, 7:11], np.float32(-8))  # neither drums nor bass
    assert (
        [plane.min() for plane in seen[0][0, 13:]] == [plane.max() for plane in seen[0][0, 13:]] == [1, 0, 0]
    )


@pytest.mark.parametrize("vocals", [None, 0.5])
def test_silence_stays_silent(make: Make, vocals: float | None) -> None:
    model = make(lambda features: np.zeros((2, 6, 2, FRAMES, bands.BANDS)), vocals)
    assert not model.separate(np.zeros((2, model.segment), np.float32)).any()


def test_a_note_recommends_spleeter_where_it_is_missing(make: Make) -> None:
    assert make(only("other")).notes == (ALONE,)
    assert make(only("other"), 0.5).notes == ()
    assert "stemsplitter models pull spleeter_2s" in ALONE


def test_a_checkpoint_of_another_network_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class ReadingRuntime(LogitsRuntime):
        def compile(self, network: Callable[[], Any], inputs: Mapping[str, Any], cache: Path) -> Any:
            network()

    other = SimpleNamespace(state={"encoder.weight": np.zeros(3, np.float32)})
    monkeypatch.setattr(bandnet, "read_safetensors", lambda path: other)
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(b"x")
    with pytest.raises(ModelError, match=r"^w\.safetensors is not a checkpoint of BandNet"):
        BandNetModel(ReadingRuntime(only("other")), weights, tmp_path, None)


def test_the_shipped_weights_run(tmp_path: Path) -> None:
    """The shipped weights on the CPU give finite stems that sum to the mixture."""
    from stemsplitter.separation.runtimes import open_runtime

    (entry,) = (entry for entry in load_catalogue() if entry.architecture == "bandnet")
    (source,) = (weight.source for weight in entry.weights)
    assert isinstance(source, ShippedSource)
    model = BandNetModel(open_runtime("cpu", "fp32", 2), source.path, tmp_path, None)
    mixture = noise(model.segment)
    stems = model.separate(mixture)
    assert stems.shape == (6, *mixture.shape) and np.isfinite(stems).all()
    np.testing.assert_allclose(stems.sum(axis=0), mixture, atol=1e-5)
