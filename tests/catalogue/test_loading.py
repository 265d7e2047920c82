"""Loading the model of a catalogue entry, with a runtime that computes nothing."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from stemsplitter.catalogue.loading import load_model
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.errors import ModelError
from stemsplitter.separation.architectures.bandnet.model import ALONE, BandNetModel
from stemsplitter.separation.architectures.spleeter.model import SpleeterModel
from tests.separation.toy_model import ToyModel


class Runtime:
    """Records the caches of the networks compiled."""

    concurrency, device = 1, "test"

    def __init__(self) -> None:
        self.caches: list[Path] = []

    def compile(self, network: Callable[[], Any], inputs: Mapping[str, tuple[int, ...]], cache: Path) -> Any:
        self.caches.append(cache)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    """A store that reports Spleeter as installed."""
    store = ModelStore(tmp_path / "models")
    of_files = store.weights
    here = [tmp_path / "vocals.ckpt", tmp_path / "instrumental.ckpt"]
    monkeypatch.setattr(store, "is_ready", lambda name: name in ("spleeter_2s", "builtin_6s"))
    monkeypatch.setattr(store, "weights", lambda name: here if name == "spleeter_2s" else of_files(name))
    return store


def test_spleeter_loads_without_notes(store: ModelStore) -> None:
    model = load_model(store.entry("spleeter_2s"), store, Runtime())
    assert isinstance(model, SpleeterModel) and model.notes == ()


def test_the_built_in_model_uses_the_mask_of_spleeter(store: ModelStore) -> None:
    runtime = Runtime()
    model = load_model(store.entry("builtin_6s"), store, runtime)
    assert isinstance(model, BandNetModel) and model.notes == ()
    # each network is cached with its own model
    assert {path.parents[1].name for path in runtime.caches} == {"spleeter_2s", "builtin_6s"}


def test_the_built_in_model_loads_without_spleeter(tmp_path: Path) -> None:
    store, runtime = ModelStore(tmp_path / "models"), Runtime()
    model = load_model(store.entry("builtin_6s"), store, runtime)
    assert isinstance(model, BandNetModel) and model.notes == (ALONE,)
    assert len(runtime.caches) == 1
    assert not (store.root / "spleeter_2s").exists()


def test_other_weights_of_the_same_name_are_compiled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file ships with the program, so another version can bring another one of the same name."""
    store, runtime = ModelStore(tmp_path / "models"), Runtime()
    entry = store.entry("builtin_6s")
    (shipped,) = store.weights(entry.name)
    other = tmp_path / shipped.name
    other.write_bytes(b"other weights")
    for file in (shipped, other, shipped):
        monkeypatch.setattr(store, "weights", lambda _, file=file: [file])
        load_model(entry, store, runtime)
    first, second, third = runtime.caches
    assert first == third != second


def test_a_missing_model_says_how_to_install_it(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models")
    with pytest.raises(ModelError, match="stemsplitter models pull spleeter_2s"):
        load_model(store.entry("spleeter_2s"), store, Runtime())


def test_weights_of_other_stems_are_rejected(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    monkeypatch.setattr(store, "weights", lambda name: [])
    monkeypatch.setattr(
        "stemsplitter.separation.architectures.htdemucs.model.HTDemucsModel", lambda *_: ToyModel()
    )
    with pytest.raises(ModelError, match="The weights of htdemucs_6s give drums"):
        load_model(store.entry("htdemucs_6s"), store, None)  # type: ignore[arg-type]
