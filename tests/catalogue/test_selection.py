"""Selecting the model of a request without a model, and downloading it."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stemsplitter.catalogue import store as store_module
from stemsplitter.catalogue.entries import ModelEntry, Origin, ShippedSource, WeightFile, load_catalogue
from stemsplitter.catalogue.selection import ModelDownloader, candidates_for, default_model_for
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.errors import ModelError, RequestError
from stemsplitter.files.verified import Progress
from stemsplitter.separation.layouts import LAYOUTS

TWO, FOUR, SIX = LAYOUTS["2s"], LAYOUTS["4s"], LAYOUTS["6s"]
UNCLEAR = [entry for entry in load_catalogue() if not entry.permissive]


@pytest.fixture
def offline(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models", offline=True)


@pytest.mark.parametrize(
    ("stems", "names"),
    [
        (TWO, ["spleeter_2s", "builtin_6s", "scnet_large", "melband_kim", "best_6s", "mega53"]),
        (("vocals",), ["spleeter_2s", "builtin_6s", "scnet_large", "melband_kim", "best_6s", "mega53"]),
        (FOUR, ["builtin_6s", "scnet_large", "best_6s", "mega53"]),
        (SIX, ["builtin_6s", "best_6s", "mega53"]),
        (("piano", "other"), ["builtin_6s", "best_6s", "mega53"]),
    ],
)
def test_candidates_are_the_permissive_models_that_provide_the_stems(
    stems: tuple[str, ...], names: list[str]
) -> None:
    assert [entry.name for entry in candidates_for(stems, load_catalogue())] == names


@pytest.mark.parametrize("stems", [TWO, FOUR, SIX])
def test_the_built_in_model_provides_all_layouts(stems: tuple[str, ...], offline: ModelStore) -> None:
    assert default_model_for(stems, offline).name == "builtin_6s"
    assert not offline.root.exists()  # selecting a model creates nothing


def test_the_default_is_the_first_installed_candidate(
    offline: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offline, "is_ready", lambda name: True)
    assert default_model_for(TWO, offline).name == "spleeter_2s"
    assert default_model_for(FOUR, offline).name == "builtin_6s"


def test_the_default_without_an_installed_candidate_is_the_first(
    offline: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offline, "is_ready", lambda name: False)
    assert default_model_for(TWO, offline).name == "spleeter_2s"


@pytest.mark.parametrize(
    ("stems", "names"),
    [
        (FOUR, ["htdemucs", "htdemucs_ft", "htdemucs_6s"]),
        (SIX, ["htdemucs_6s"]),
        (("piano",), ["htdemucs_6s"]),
    ],
)
def test_models_with_unclear_terms_must_be_named(stems: tuple[str, ...], names: list[str]) -> None:
    with pytest.raises(RequestError) as caught:
        candidates_for(stems, UNCLEAR)
    message = str(caught.value)
    assert " or ".join(names) in message
    assert f"`stemsplitter models pull {names[0]}`" in message and "unclear" in message


def test_stems_that_no_model_provides_are_rejected() -> None:
    with pytest.raises(RequestError, match="No model provides drums"):
        candidates_for(("drums",), [load_catalogue()[0]])


# --- downloading ---


class World:
    """Three models: two that are not installed, one of which uses the vocals of the other, and a built-in one."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        shipped = root / "w"
        shipped.write_bytes(b"123")
        digest = "a665a45920422f9d417e4867efdc4fb8a04a1f3fff1fa07e998e86f7f7a27ae3"
        absent = WeightFile("w", 3, digest)
        here = WeightFile("w", 3, digest, ShippedSource(shipped))

        def make(name: str, weight: WeightFile, vocals_from: str | None = None) -> ModelEntry:
            table = (
                name,
                name,
                "htdemucs",
                TWO,
                "MIT",
                "Free.",
                True,
                Origin(),
                (weight,),
                {},
                {},
                vocals_from,
            )
            return ModelEntry(*table)

        self.first, self.second = make("first", absent), make("second", absent, "first")
        self.built_in = make("built_in", here, "first")
        catalogue = (self.first, self.second, self.built_in)
        monkeypatch.setattr(store_module, "load_catalogue", lambda: catalogue)
        monkeypatch.setattr(ModelStore, "pull", lambda _, name, progress: self.pull(name, progress))
        monkeypatch.delenv("STEMSPLITTER_OFFLINE", raising=False)
        monkeypatch.setattr(ModelStore, "is_ready", self._is_ready(ModelStore.is_ready))
        self.store = ModelStore(root / "models")
        self.available: set[str] = set()
        self.pulled: list[str] = []
        self.announced: list[str] = []

    def _is_ready(self, of_files):
        return lambda store, name: name in self.available & set(self.pulled) or of_files(store, name)

    def pull(self, name: str, progress: Progress | None) -> None:
        self.pulled.append(name)
        if name not in self.available:
            raise ModelError(f"{name} is unavailable.")

    @contextmanager
    def announce(self, entry: ModelEntry) -> Iterator[Progress]:
        self.announced.append(entry.name)
        yield lambda done, total: None

    def downloader(self) -> ModelDownloader:
        return ModelDownloader(self.store, self.announce)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def test_the_preferred_model_is_downloaded(world: World) -> None:
    world.available = {"first"}
    assert world.downloader().first_available([world.first, world.built_in]) == world.first
    assert world.pulled == world.announced == ["first"]


def test_the_model_for_the_vocals_is_downloaded_too(world: World) -> None:
    world.available = {"first"}
    downloader = world.downloader()
    assert downloader.first_available([world.built_in]) == world.built_in
    assert world.pulled == ["first"] and downloader.failed == {}


def test_an_unavailable_model_is_tried_once_and_the_next_is_used(world: World) -> None:
    downloader = world.downloader()
    for candidates in ([world.first, world.built_in], [world.built_in]):
        assert downloader.first_available(candidates) == world.built_in
    assert world.pulled == ["first"]
    assert list(map(str, downloader.failed.values())) == ["first is unavailable."]


def test_the_error_is_that_of_the_first_model(world: World) -> None:
    downloader = world.downloader()
    for _ in range(2):
        with pytest.raises(ModelError, match="first is unavailable"):
            downloader.first_available([world.first, world.second])
    assert world.pulled == ["first", "second"]


def test_a_chain_is_available_if_its_models_are(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = dataclasses.replace(world.first, name="chain", weights=(), chain=("first", "built_in"))
    catalogue = (*store_module.load_catalogue(), chain)
    monkeypatch.setattr(store_module, "load_catalogue", lambda: catalogue)
    downloader = world.downloader()
    assert downloader.first_available([chain, world.built_in]) == world.built_in
    assert str(downloader.failed["chain"]) == "first is unavailable." and not world.store.is_ready("chain")
    world.available = {"first"}
    world.pulled.clear()
    assert world.downloader().first_available([chain, world.built_in]) == chain
    assert world.announced == ["first", "first"]


def test_no_download_is_announced_offline(world: World) -> None:
    world.store.offline = True
    assert world.downloader().first_available([world.first, world.built_in]) == world.built_in
    assert world.announced == []


def test_a_damaged_built_in_model_announces_no_download(world: World, tmp_path: Path) -> None:
    (tmp_path / "w").unlink()
    with pytest.raises(ModelError):
        world.downloader().first_available([world.built_in])
    assert world.announced == []


def test_an_interrupt_ends_the_download(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(world, "pull", stop)
    with pytest.raises(KeyboardInterrupt):
        world.downloader().first_available([world.first, world.built_in])


def test_license_precedes_order() -> None:
    free = dataclasses.replace(UNCLEAR[-1], name="free", permissive=True)
    assert candidates_for(FOUR, [*UNCLEAR, free]) == [free]
