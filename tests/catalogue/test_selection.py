"""Which model is taken where none is named, and what is fetched for it."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stemsplitter.catalogue import store as store_module
from stemsplitter.catalogue.entries import ModelEntry, Origin, ShippedSource, WeightFile, load_catalogue
from stemsplitter.catalogue.selection import Fetcher, candidates_for, default_model_for
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
        (TWO, ["spleeter_2s", "builtin_6s"]),
        (("vocals",), ["spleeter_2s", "builtin_6s"]),
        (FOUR, ["builtin_6s"]),
        (SIX, ["builtin_6s"]),
        (("piano", "other"), ["builtin_6s"]),
    ],
)
def test_the_models_of_each_request(stems: tuple[str, ...], names: list[str]) -> None:
    assert [entry.name for entry in candidates_for(stems, load_catalogue())] == names


@pytest.mark.parametrize("stems", [TWO, FOUR, SIX])
def test_with_nothing_but_what_is_built_in_all_layouts_are_there(
    stems: tuple[str, ...], offline: ModelStore
) -> None:
    assert default_model_for(stems, offline).name == "builtin_6s"
    assert not offline.root.exists()  # looking makes nothing


def test_the_first_of_the_catalogue_that_is_here_is_taken(
    offline: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offline, "is_ready", lambda name: True)
    assert default_model_for(TWO, offline).name == "spleeter_2s"
    assert default_model_for(FOUR, offline).name == "builtin_6s"


def test_where_none_is_here_it_is_the_one_to_get(
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
def test_models_of_unclear_terms_have_to_be_asked_for(stems: tuple[str, ...], names: list[str]) -> None:
    with pytest.raises(RequestError) as caught:
        candidates_for(stems, UNCLEAR)
    message = str(caught.value)
    assert " or ".join(names) in message
    assert f"`stemsplitter models pull {names[0]}`" in message and "unclear" in message


def test_no_model_at_all() -> None:
    with pytest.raises(RequestError, match="No model gives drums"):
        candidates_for(("drums",), [load_catalogue()[0]])


# --- fetching ---


class World:
    """Three models: two that are not here, of which the second is better with the first, and a built-in one."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        shipped = root / "w"
        shipped.write_bytes(b"123")
        digest = "a665a45920422f9d417e4867efdc4fb8a04a1f3fff1fa07e998e86f7f7a27ae3"
        absent = WeightFile("w", 3, digest)
        here = WeightFile("w", 3, digest, ShippedSource(shipped))

        def make(name: str, weight: WeightFile, vocals_from: str | None = None) -> ModelEntry:
            table = (name, name, "htdemucs", TWO, "MIT", "Free.", True, Origin(), (weight,), {}, vocals_from)
            return ModelEntry(*table)

        self.first, self.second = make("first", absent), make("second", absent, "first")
        self.built_in = make("built_in", here, "first")
        catalogue = (self.first, self.second, self.built_in)
        monkeypatch.setattr(store_module, "load_catalogue", lambda: catalogue)
        monkeypatch.setattr(ModelStore, "pull", lambda _, name, progress: self.pull(name, progress))
        monkeypatch.delenv("STEMSPLITTER_OFFLINE", raising=False)
        monkeypatch.setattr(ModelStore, "is_ready", self._is_ready(ModelStore.is_ready))
        self.store = ModelStore(root / "models")
        self.fetchable: set[str] = set()
        self.pulled: list[str] = []
        self.announced: list[str] = []

    def _is_ready(self, of_files):
        return lambda store, name: name in self.fetchable & set(self.pulled) or of_files(store, name)

    def pull(self, name: str, progress: Progress | None) -> None:
        self.pulled.append(name)
        if name not in self.fetchable:
            raise ModelError(f"{name} is nowhere to be had.")

    @contextmanager
    def announce(self, entry: ModelEntry) -> Iterator[Progress]:
        self.announced.append(entry.name)
        yield lambda done, total: None

    def fetcher(self) -> Fetcher:
        return Fetcher(self.store, self.announce)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def test_what_is_preferred_is_fetched(world: World) -> None:
    world.fetchable = {"first"}
    assert world.fetcher().bring([world.first, world.built_in]) == world.first
    assert world.pulled == world.announced == ["first"]


def test_what_finds_the_vocals_comes_along(world: World) -> None:
    world.fetchable = {"first"}
    fetcher = world.fetcher()
    assert fetcher.bring([world.built_in]) == world.built_in
    assert world.pulled == ["first"] and fetcher.failed == {}


def test_what_cannot_be_had_is_tried_once_and_the_next_taken(world: World) -> None:
    fetcher = world.fetcher()
    for candidates in ([world.first, world.built_in], [world.built_in]):
        assert fetcher.bring(candidates) == world.built_in
    assert world.pulled == ["first"]
    assert list(map(str, fetcher.failed.values())) == ["first is nowhere to be had."]


def test_where_none_can_be_had_the_first_one_says_why(world: World) -> None:
    fetcher = world.fetcher()
    for _ in range(2):
        with pytest.raises(ModelError, match="first is nowhere to be had"):
            fetcher.bring([world.first, world.second])
    assert world.pulled == ["first", "second"]


def test_offline_nothing_is_announced(world: World) -> None:
    world.store.offline = True
    assert world.fetcher().bring([world.first, world.built_in]) == world.built_in
    assert world.announced == []


def test_what_is_built_in_and_broken_is_not_announced_as_fetched(world: World, tmp_path: Path) -> None:
    (tmp_path / "w").unlink()
    with pytest.raises(ModelError):
        world.fetcher().bring([world.built_in])
    assert world.announced == []


def test_an_interrupted_fetch_interrupts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(world, "pull", stop)
    with pytest.raises(KeyboardInterrupt):
        world.fetcher().bring([world.first, world.built_in])


def test_the_terms_decide_not_the_place_in_the_catalogue() -> None:
    free = dataclasses.replace(UNCLEAR[0], name="free", permissive=True)
    assert candidates_for(FOUR, [*UNCLEAR, free]) == [free]
