"""Guitar, piano and other of what given stems leave of a song."""

from collections.abc import Callable

import numpy as np
import pytest

from stemsplitter.separation.architectures.bandnet import bands
from stemsplitter.separation.architectures.bandnet.model import BandNetModel
from stemsplitter.separation.architectures.bandnet.rest import RestSeparator, separate_rest

from .conftest import FRAMES, SILENT, Make, noise, only

Stems = dict[str, np.ndarray]


def given(samples: int) -> Stems:
    return {
        name: np.random.default_rng(seed).standard_normal((2, samples), dtype=np.float32) * np.float32(0.1)
        for seed, name in enumerate(("vocals", "drums", "bass"), 1)
    }


def even(features: np.ndarray) -> np.ndarray:
    """Equal logits for all stems."""
    return np.zeros((2, 6, 2, FRAMES, bands.BANDS))


@pytest.fixture
def rest(make: Make) -> Callable[..., Stems]:
    """Call it for the stems of the rest of noise."""

    def rest(model: BandNetModel, stems: Stems) -> Stems:
        return model.separate_rest(noise(model.segment), stems)

    return rest


def test_the_rest_is_divided_among_the_other_stems(make: Make, rest: Callable[..., Stems]) -> None:
    model = make(even)
    stems = given(model.segment)
    found = rest(model, stems)
    assert list(found) == ["guitar", "piano", "other"]
    left = noise(model.segment) - sum(stems.values())
    for stem in found.values():
        np.testing.assert_allclose(stem, left / 3, atol=1e-6)
    np.testing.assert_allclose(sum(found.values()), left, atol=1e-6)


def test_shares_are_those_of_the_rest(make: Make, rest: Callable[..., Stems]) -> None:
    model = make(only("piano", vocals="guitar"))
    stems = given(model.segment)
    found = rest(model, stems)
    np.testing.assert_allclose(found["piano"], noise(model.segment) - sum(stems.values()), atol=1e-6)
    assert np.abs(found["guitar"]).max() < 1e-6


def test_instruments_that_are_not_given_stay_in_the_rest(make: Make, rest: Callable[..., Stems]) -> None:
    model = make(only("bass"))
    stems = given(model.segment)
    del stems["bass"]
    found = rest(model, stems)
    assert list(found) == ["bass", "guitar", "piano", "other"]
    np.testing.assert_allclose(found["bass"], noise(model.segment) - sum(stems.values()), atol=1e-6)


@pytest.mark.parametrize(
    ("instruments", "heard"),
    [
        (("vocals", "drums", "bass", "guitar"), {"guitar"}),
        (("drums", "piano", "other"), {"piano", "other"}),
        (("vocals", "drums", "bass"), {"other"}),  # the errors of the given stems
    ],
)
def test_absent_instruments_of_the_rest_are_silent(
    make: Make, rest: Callable[..., Stems], instruments: tuple[str, ...], heard: set[str]
) -> None:
    model = make(even).for_instruments(instruments)
    stems = given(model.segment)
    found = rest(model, stems)
    assert {name for name, stem in found.items() if stem.any()} == heard
    np.testing.assert_allclose(sum(found.values()), noise(model.segment) - sum(stems.values()), atol=1e-6)


def test_the_network_is_told_what_is_given(make: Make) -> None:
    seen: list[np.ndarray] = []
    model = make(lambda features: seen.append(features[0].copy()) or even(features))
    stems = given(model.segment)
    mixture = sum(stems.values())
    model.separate_rest(mixture, stems)
    model.separate_rest(mixture, {"drums": stems["drums"]})
    (everything, drums), inner = seen, slice(8, -8)
    assert everything[:2, inner].mean() < -7.5  # nothing is left
    assert drums[:2, inner].mean() > -7
    np.testing.assert_array_equal(everything[2:5], drums[2:5])  # of the mixture
    np.testing.assert_array_equal(everything[11:13], drums[11:13])
    np.testing.assert_array_equal(everything[7:9], drums[7:9])
    np.testing.assert_array_equal(drums[[5, 6, 9, 10]], np.float32(-8))
    assert [plane.min() for plane in everything[13:]] == [1, 1, 1]
    assert [plane.max() for plane in drums[13:]] == [0, 1, 0]


@pytest.mark.parametrize("block", [10_000, 10_000_000])
def test_a_song_is_separated_in_blocks(make: Make, block: int) -> None:
    model = make(lambda features: np.where(np.arange(6)[None, :, None, None, None] == 3, 0.0, SILENT))
    samples = 2 * model.segment + 12_345
    mixture, stems = noise(samples), given(samples)
    separator = RestSeparator(model)
    pieces: list[np.ndarray] = []
    for start in range(0, samples, block):
        part = slice(start, start + block)
        pieces += separator.push(mixture[:, part], np.stack([stem[:, part] for stem in stems.values()]))
    pieces += separator.flush()
    guitar, piano, other = np.concatenate(pieces, axis=-1)
    np.testing.assert_allclose(guitar, mixture - sum(stems.values()), atol=1e-5)
    assert np.abs(piano).max() < 1e-5 > np.abs(other).max()


@pytest.mark.parametrize("samples", [1, 3_000])
def test_a_short_song_has_stems_of_its_length(make: Make, samples: int) -> None:
    mixture, stems = noise(samples), given(samples)
    found = separate_rest(make(even), mixture, stems)
    assert {stem.shape for stem in found.values()} == {(2, samples)}
    np.testing.assert_allclose(sum(found.values()), mixture - sum(stems.values()), atol=1e-6)
