import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from stemsplitter.catalogue.entries import (
    CATALOGUE,
    HttpSource,
    PackageSource,
    ShippedSource,
    load_catalogue,
    load_tools,
    parse_entry,
)
from stemsplitter.catalogue.opening import open_model
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.errors import ModelError
from stemsplitter.files.verified import hash_file
from stemsplitter.separation.architectures.roformer.settings import RoFormerSettings
from stemsplitter.separation.architectures.scnet.settings import SCNetSettings
from stemsplitter.separation.layouts import SIX_STEMS

TABLE: dict[str, Any] = {
    "name": "tiny",
    "title": "Tiny",
    "architecture": "htdemucs",
    "stems": ["vocals", "instrumental"],
    "licence": "MIT",
    "licence_note": "Do as you like.",
    "permissive": True,
    "weights": [{"name": "w.th", "size": 3, "sha256": "0" * 64, "url": "http://127.0.0.1/w.th"}],
    "quality": {"sdr_db": {"vocals": 1.5}},
}
WEIGHT = TABLE["weights"][0]


def test_the_catalogue_is_valid() -> None:
    entries = {entry.name: entry for entry in load_catalogue()}
    assert list(entries) == [
        *("spleeter_2s", "builtin_6s", "scnet_large", "melband_kim", "best_6s", "mega53"),
        *("viperx_317", "htdemucs_6s", "htdemucs", "htdemucs_ft"),
    ]
    assert {entry.name: entry.chain for entry in entries.values() if entry.chain} == {
        "best_6s": ("scnet_large", "builtin_6s")
    }
    assert {entry.name: entry.rest_from for entry in entries.values() if entry.rest_from} == {
        "best_6s": "mega53"
    }
    assert all(bool(entry.weights) != bool(entry.chain) for entry in entries.values())
    for entry in entries.values():
        assert entry.origin.url.startswith("https://") or entry.built_in
        assert entry.origin.authors and entry.origin.paper
        assert entry.licence_note.endswith(".") and "\n" not in entry.licence_note
        for weight in entry.weights:
            assert weight.source is not None
            if isinstance(weight.source, HttpSource):
                assert weight.source.url.endswith(f"/{weight.name}")
                if entry.architecture == "htdemucs":
                    assert weight.sha256.startswith(weight.name.removesuffix(".th")[-8:])
    assert [weight.stem for weight in entries["htdemucs_ft"].weights] == ["drums", "bass", "other", "vocals"]
    assert entries["htdemucs_6s"].stems == ("drums", "bass", "other", "vocals", "guitar", "piano")
    assert all(isinstance(weight.source, PackageSource) for weight in entries["spleeter_2s"].weights)
    assert [entry.name for entry in entries.values() if entry.built_in] == ["builtin_6s"]
    assert {entry.name: entry.vocals_from for entry in entries.values() if entry.vocals_from} == {
        "builtin_6s": "spleeter_2s"
    }
    unclear = [entry.name for entry in entries.values() if not entry.permissive]
    assert unclear == ["viperx_317", "htdemucs_6s", "htdemucs", "htdemucs_ft"]


def test_the_settings_of_the_catalogue_are_those_of_its_networks() -> None:
    parsers = {"scnet": SCNetSettings, "roformer": RoFormerSettings}
    for entry in load_catalogue():
        if (parser := parsers.get(entry.architecture)) is None:
            assert not entry.settings
            continue
        heads = parser.parse(entry.settings).heads
        assert heads is not None and len(entry.stems) - len(heads) in (0, 1)


def test_the_shipped_file_matches_the_catalogue() -> None:
    (entry,) = (entry for entry in load_catalogue() if entry.built_in)
    (weight,) = entry.weights
    assert isinstance(weight.source, ShippedSource)
    assert weight.source.path.stat().st_size == weight.size <= 25_000_000
    assert hash_file(weight.source.path) == weight.sha256
    assert entry.permissive and entry.stems == SIX_STEMS


def test_models_with_unclear_terms_are_not_permissive() -> None:
    for entry in load_catalogue():
        assert entry.permissive == (entry.licence != "unclear")
        assert entry.permissive == ("terms of these weights are unclear" not in entry.licence_note)


def test_an_entry_is_parsed() -> None:
    entry = parse_entry(TABLE)
    assert entry.size_bytes == 3
    assert entry.weights[0].source == HttpSource("http://127.0.0.1/w.th")
    assert entry.quality["sdr_db"]["vocals"] == 1.5
    with pytest.raises(dataclasses.FrozenInstanceError):
        entry.name = "other"  # type: ignore[misc]


def test_a_shipped_file_has_a_path() -> None:
    weight = {"name": "w", "size": 3, "sha256": "0" * 64, "shipped": "catalogue/catalogue.toml"}
    source = parse_entry(TABLE | {"weights": [weight]}).weights[0].source
    assert isinstance(source, ShippedSource) and source.path.is_file()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "../x"}, "invalid name"),
        ({"name": None}, "invalid name"),
        ({"title": ""}, "has no title"),
        ({"licence": 3}, "has no licence"),
        ({"architecture": "unet"}, "architecture 'unet'"),
        ({"stems": []}, "no stems"),
        ({"stems": ["vocals", "vocals"]}, "same stem twice"),
        ({"stems": ["vocals", "a/b"]}, "cannot be a file's name"),
        ({"weights": []}, "no weight files"),
        ({"weights": [WEIGHT, WEIGHT]}, "two weight files of the same name"),
        ({"weights": [WEIGHT | {"name": "../w"}]}, "invalid name"),
        ({"weights": [WEIGHT | {"sha256": "0"}]}, "valid size and SHA-256"),
        ({"weights": [WEIGHT | {"size": 0}]}, "valid size and SHA-256"),
        ({"weights": [{"size": 3, "sha256": "0" * 64}]}, "has no name"),
        ({"weights": [WEIGHT | {"stem": "vocals"}]}, "not in the order of its stems"),
        ({"architecture": "chain"}, "the architecture 'chain' if it is a chain"),
        ({"chain": ["a", "b"]}, "the architecture 'chain' if it is a chain"),
        ({"architecture": "chain", "chain": ["a", "b"]}, "is a chain and has weight files"),
    ],
)
def test_an_invalid_entry_names_its_field(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=re.escape(message)):
        parse_entry(TABLE | changes)


@pytest.mark.parametrize(
    "text", ["", "model = 3", "[[model]]\n", "[[model]", "[[model]]\nname='x'\norigin=3\n"]
)
def test_an_invalid_catalogue_is_rejected(tmp_path: Path, text: str) -> None:
    path = tmp_path / "catalogue.toml"
    path.write_text(text)
    with pytest.raises(ModelError):
        load_catalogue(path)


@pytest.mark.parametrize("name", ["none", "htdemucs", "builtin_6s"])
def test_vocals_from_must_name_a_model_with_a_mask(tmp_path: Path, name: str) -> None:
    path = tmp_path / "catalogue.toml"
    text = CATALOGUE.read_text(encoding="utf-8")
    path.write_text(text.replace('vocals_from = "spleeter_2s"', f'vocals_from = "{name}"'), encoding="utf-8")
    with pytest.raises(
        ModelError, match=f"builtin_6s has vocals_from '{name}', which is not a model that can"
    ):
        load_catalogue(path)


@pytest.mark.parametrize(
    "chain", ['["scnet_large"]', '["scnet_large", "none"]', '["scnet_large", "htdemucs"]']
)
def test_a_chain_must_name_a_model_and_a_built_in_one(tmp_path: Path, chain: str) -> None:
    path = tmp_path / "catalogue.toml"
    text = CATALOGUE.read_text(encoding="utf-8")
    path.write_text(text.replace('["scnet_large", "builtin_6s"]', chain), encoding="utf-8")
    with pytest.raises(ModelError, match="best_6s is not a chain of two models"):
        load_catalogue(path)


def test_a_missing_catalogue_and_repeated_names_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        load_catalogue(tmp_path / "none.toml")
    path = tmp_path / "twice.toml"
    one = CATALOGUE.read_text(encoding="utf-8")
    path.write_text(one + one)
    with pytest.raises(ModelError, match="two models of the same name"):
        load_catalogue(path)


def test_models_of_tools_are_apart_from_those_that_separate(tmp_path: Path) -> None:
    store = ModelStore(tmp_path, offline=True)
    tool, voices = load_tools()
    assert (tool.name, voices.name) == ("deepfilternet3", "kokoro") and tool.permissive and voices.permissive
    assert tool not in store.entries()
    assert store.entry("deepfilternet3") == tool
    with pytest.raises(ModelError, match="deepfilternet3 does not separate songs"):
        open_model(tool, store, "cpu", "auto", None)


def test_rest_from_must_name_a_roformer(tmp_path: Path) -> None:
    text = CATALOGUE.read_text(encoding="utf-8")
    path = tmp_path / "catalogue.toml"
    path.write_text(text.replace('rest_from = "mega53"', 'rest_from = "scnet_large"'), encoding="utf-8")
    with pytest.raises(ModelError, match="best_6s has rest_from 'scnet_large', which is not a RoFormer"):
        load_catalogue(path)
