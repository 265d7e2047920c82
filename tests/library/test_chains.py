"""A chain of a tiny SCNet with random weights and the built-in network."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.random_weights import write_safetensors
from stemsplitter.catalogue.entries import ModelEntry
from stemsplitter.catalogue.opening import open_model
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.errors import ModelError
from stemsplitter.library import ModelUsed, Separator
from stemsplitter.separation.architectures.bandnet.rest import separate_rest
from stemsplitter.separation.chain import Chain, separate_chain
from stemsplitter.separation.layouts import SIX_STEMS
from stemsplitter.separation.pipeline import READ_AHEAD, separate_stream
from tests.catalogue.test_user_models import SCNET
from tests.separation.architectures.expected import load_expected

GIVEN = ("vocals", "drums", "bass")
REST = ("guitar", "piano", "other")
SEGMENT = 44_100  # of the SCNet


class Store(ModelStore):
    """A store whose ``best_6s`` has the user's model ``mine`` in place of SCNet large."""

    def entry(self, name: str) -> ModelEntry:
        entry = super().entry(name)
        return replace(entry, chain=("mine", "builtin_6s")) if name == "best_6s" else entry


def _song(samples: int, channels: int = 2) -> np.ndarray:
    return np.random.default_rng(samples).standard_normal((channels, samples)).astype(np.float32) / 8


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("models")
    (folder / "config.yaml").write_text(SCNET)
    weights = write_safetensors(folder / "scnet.safetensors", load_expected("scnet_test").state)
    store = Store(folder / "models")
    store.add("mine", weights, folder / "config.yaml")
    return store


@pytest.fixture(scope="module")
def separator(store: Store) -> Separator:
    return Separator("best_6s", store=store, device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def chain(store: Store) -> Chain:
    chain = open_model(store.entry("best_6s"), store, "cpu", "fp32", None)
    assert isinstance(chain, Chain)
    return chain


@pytest.mark.parametrize(
    ("samples", "channels", "rate"),
    [(600_001, 2, 44_100), (3_000, 2, 44_100), (1, 2, 44_100), (300_001, 2, 48_000), (300_001, 1, 22_050)],
)
def test_the_stems_sum_to_the_song(separator: Separator, samples: int, channels: int, rate: int) -> None:
    song = _song(samples, channels)
    result = separator.separate(song, sample_rate=rate)
    assert tuple(result.stems) == SIX_STEMS
    assert {stem.shape for stem in result.stems.values()} == {(channels, samples)}
    residual = sum(stem.astype(np.float64) for stem in result.stems.values()) - song
    assert 20 * np.log10(np.abs(residual).max() + 1e-20) <= -130
    assert np.abs(residual).max() <= 10 ** (result.residual_dbfs / 20) + 1e-7
    assert result.residual_dbfs <= -130


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_the_given_stems_are_those_of_the_first_model(separator: Separator, store: Store, rate: int) -> None:
    song = _song(150_000)
    first = Separator("mine", store=store, device="cpu", precision="fp32").separate(song, sample_rate=rate)
    stems = separator.separate(song, sample_rate=rate).stems
    for name in GIVEN:
        np.testing.assert_array_equal(stems[name], first.stems[name])


def test_the_rest_is_that_of_the_built_in_network(separator: Separator, chain: Chain) -> None:
    song = _song(550_000)
    stems = separator.separate(song).stems
    rest = separate_rest(chain.rest, song, {name: stems[name] for name in GIVEN})
    for name in REST:
        np.testing.assert_allclose(stems[name], rest[name], atol=1e-5)


def test_the_stems_do_not_depend_on_the_blocks(chain: Chain) -> None:
    song = _song(530_000)

    def separate(size: int) -> np.ndarray:
        blocks = (song[:, start : start + size] for start in range(0, song.shape[1], size))
        pieces = separate_chain(chain, blocks, 44_100, 2)
        return np.concatenate([piece.stems for piece in pieces], axis=-1)

    np.testing.assert_allclose(separate(10_001), separate(530_000), atol=1e-6)


def test_the_audio_held_does_not_grow_with_the_song(chain: Chain) -> None:
    size, consumed, produced, held = 1 << 14, 0, 0, []

    def blocks() -> Iterator[np.ndarray]:
        nonlocal consumed
        for _ in range(120):
            consumed += size
            yield _song(size)

    for piece in separate_chain(chain, blocks(), 44_100, 2):
        held.append(consumed - produced)
        produced += piece.stems.shape[2]
    assert produced == consumed == 120 * size
    segments = (chain.first.concurrency + 4) * SEGMENT + 2 * chain.rest.segment
    assert max(held) <= segments + (READ_AHEAD + 2) * size < produced


def test_absent_instruments_are_silent(separator: Separator) -> None:
    song = _song(100_000)
    stems = separator.separate(song, instruments=("vocals", "guitar")).stems
    assert {name for name, stem in stems.items() if stem.any()} == {"vocals", "guitar"}
    np.testing.assert_allclose(sum(stems.values()), song, atol=1e-6)


def test_other_layouts_are_sums_of_the_stems(separator: Separator) -> None:
    song = _song(100_000)
    six, four = separator.separate(song).stems, separator.with_stems("4s").separate(song).stems
    np.testing.assert_allclose(four["other"], six["guitar"] + six["piano"] + six["other"], atol=1e-6)


def test_the_models_of_the_chain_are_named(separator: Separator) -> None:
    result = separator.separate(_song(10_000))
    assert result.model == "best_6s"
    assert result.models[0] == ModelUsed("best_6s", "MIT")
    assert [model.name for model in result.models[1:]] == ["mine", "builtin_6s"]
    assert result.warnings == ()  # the vocals are not those of the built-in network


def test_overlap_is_that_of_the_first_model(separator: Separator, store: Store) -> None:
    song = _song(200_000)
    stems, first = (
        Separator(name, store=store, device="cpu", precision="fp32", overlap=0.5).separate(song).stems
        for name in ("best_6s", "mine")
    )
    np.testing.assert_array_equal(stems["vocals"], first["vocals"])
    assert not np.array_equal(stems["vocals"], separator.separate(song).stems["vocals"])


def test_a_chain_without_its_first_model_says_what_to_install(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models")
    assert not store.is_ready("best_6s")
    with pytest.raises(ModelError, match="run `stemsplitter models pull scnet_large`"):
        Separator("best_6s", store=store)


class StoreWithHeads(Store):
    """A store that also has a tiny RoFormer with the stems of ``mega53`` in its place."""

    heads: Path

    def entry(self, name: str) -> ModelEntry:
        entry = super().entry(name)
        if name != "mega53":
            return entry
        settings = {**entry.settings, "segment": 64 * 441, "stft_hop_length": 32, "stft_n_fft": 128}
        return replace(entry, settings={**settings, "heads": [4, 3, 2, 1, 0]})

    def is_ready(self, name: str) -> bool:
        return name == "mega53" or super().is_ready(name)

    def weights(self, name: str) -> list[Path]:
        return [self.heads] if name == "mega53" else super().weights(name)


@pytest.fixture(scope="module")
def with_heads(store: Store) -> StoreWithHeads:
    """Heads 0 and 1, those of piano and guitar, have the parameters of the expected network; no others are there."""
    made = StoreWithHeads(store.root)
    state = dict(load_expected("bs_test").state)
    for name in [name for name in state if name.startswith("mask_estimators.0.")]:
        for head in range(2, 5):
            state[name.replace(".0.", f".{head}.", 1)] = np.zeros_like(state[name])
    made.heads = write_safetensors(store.root.parent / "heads.safetensors", state)
    return made


def test_the_heads_of_an_installed_model_separate_the_rest(with_heads: StoreWithHeads) -> None:
    song = _song(200_000)
    separator = Separator("best_6s", store=with_heads, device="cpu", precision="fp32")
    result = separator.separate(song)
    assert [model.name for model in result.models] == ["best_6s", "mine", "mega53"]
    assert tuple(result.stems) == SIX_STEMS and result.residual_dbfs <= -130
    residual = sum(stem.astype(np.float64) for stem in result.stems.values()) - song
    assert 20 * np.log10(np.abs(residual).max() + 1e-20) <= -130
    first = Separator("mine", store=with_heads, device="cpu", precision="fp32")
    separated = first.separate(song)
    for name in GIVEN:
        np.testing.assert_array_equal(result.stems[name], separated.stems[name])
    chain = open_model(with_heads.entry("best_6s"), with_heads, "cpu", "fp32", None)
    assert isinstance(chain, Chain) and chain.rest.stems == ("guitar", "piano", "other")
    model = open_model(with_heads.entry("mega53"), with_heads, "cpu", "fp32", None)
    assert not isinstance(model, Chain)
    pieces = list(separate_stream(model, [separated.stems["other"]], 44_100, 2))
    rest = np.concatenate([piece.stems for piece in pieces], axis=-1)
    for name, stem in zip(model.stems, rest, strict=True):
        assert stem.any() == (name in REST)
        if name in REST:
            np.testing.assert_allclose(result.stems[name], stem, atol=1e-5)


def test_absent_instruments_are_silent_in_the_rest_of_an_installed_model(with_heads: StoreWithHeads) -> None:
    song = _song(100_000)
    separator = Separator("best_6s", store=with_heads, device="cpu", precision="fp32")
    stems = separator.separate(song, instruments=("vocals", "piano")).stems
    assert {name for name, stem in stems.items() if stem.any()} == {"vocals", "piano"}
    np.testing.assert_allclose(sum(stems.values()), song, atol=1e-6)
