"""Selection of the model and the stems of a split."""

import pytest

from stemsplitter.catalogue.store import ModelStore
from stemsplitter.errors import SettingsError
from stemsplitter.separation.layouts import LAYOUTS
from stemsplitter.service_errors import ValidationFailed
from stemsplitter.settings import Settings
from stemsplitter.splits.model_selection import (
    better_layouts,
    check_models,
    choose_stems,
    model_for,
    ready_layouts,
    separated_stems,
    wanted_models,
)

from .conftest import MODEL


def test_model_of_the_settings_is_used(tiny_store: ModelStore) -> None:
    assert model_for("6s", Settings(model_6s=MODEL), tiny_store).name == MODEL


def test_model_of_a_finer_layout_serves_a_coarser_one(tiny_store: ModelStore) -> None:
    settings = Settings(model_6s=MODEL)
    assert model_for("2s", settings, tiny_store).name == MODEL
    assert ready_layouts(settings, tiny_store) == ["6s", "4s", "2s"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_built_in_model_serves_every_layout_by_default(layout: str, tiny_store: ModelStore) -> None:
    """An installed model of unclear license is not used by default."""
    assert model_for(layout, Settings(), tiny_store).name == "builtin_6s"
    assert ready_layouts(Settings(), tiny_store) == ["6s", "4s", "2s"]


def test_model_of_a_coarser_layout_does_not_serve_a_finer_one(tiny_store: ModelStore) -> None:
    settings = Settings(model_4s=MODEL)
    assert [model_for(layout, settings, tiny_store).name for layout in LAYOUTS] == [
        "builtin_6s",
        MODEL,
        MODEL,
    ]


def test_a_quality_precedes_the_settings(tiny_store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, ready = Settings(model_6s=MODEL), {MODEL, "builtin_6s"}
    monkeypatch.setattr(tiny_store, "is_ready", lambda name: name in ready)

    def chosen(layout: str) -> list[str]:
        return [
            model_for(layout, settings, tiny_store, quality).name for quality in ("fast", "balanced", "best")
        ]

    assert chosen("6s") == chosen("4s") == ["builtin_6s"] * 3
    ready |= {"scnet_large", "best_6s", "melband_kim"}
    assert chosen("6s") == ["builtin_6s", "best_6s", "best_6s"]
    assert chosen("4s") == ["builtin_6s", "scnet_large", "scnet_large"]
    assert chosen("2s") == ["builtin_6s", "melband_kim", "melband_kim"]
    assert model_for("6s", settings, tiny_store).name == MODEL
    assert better_layouts(tiny_store) == ["6s", "4s", "2s"]
    ready -= {"scnet_large", "best_6s"}
    assert better_layouts(tiny_store) == ["2s"]


@pytest.fixture
def broken(tiny_store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    """A store whose built-in model is damaged."""
    monkeypatch.setattr(tiny_store, "is_ready", lambda name: name == MODEL)
    return tiny_store


def test_layout_without_a_model_refers_to_the_operator(broken: ModelStore) -> None:
    with pytest.raises(ValidationFailed, match="no model for 6s: ask its operator") as refused:
        model_for("6s", Settings(), broken)
    assert refused.value.param == "stemModel"


def test_layout_without_a_model_names_the_others(broken: ModelStore) -> None:
    with pytest.raises(ValidationFailed, match="no model for 6s: choose 4s or 2s"):
        model_for("6s", Settings(model_4s=MODEL), broken)


def test_wanted_models_are_listed_by_layout(tiny_store: ModelStore) -> None:
    def wanted(**settings: str) -> list[list[str]]:
        return [
            [entry.name for entry in models] for models in wanted_models(Settings(**settings), tiny_store)
        ]

    assert wanted() == [
        ["builtin_6s", "best_6s", "mega53"],
        ["builtin_6s", "scnet_large", "best_6s", "mega53"],
        ["spleeter_2s", "builtin_6s", "scnet_large", "melband_kim", "best_6s", "mega53"],
    ]
    assert wanted(model_4s=MODEL) == [["builtin_6s", "best_6s", "mega53"], [MODEL], [MODEL]]
    assert wanted(model_6s=MODEL, model_2s="builtin_6s") == [[MODEL], [MODEL], ["builtin_6s"]]


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"model_6s": "none"}, "no model 'none'"),
        ({"model_6s": "htdemucs_6s"}, "models pull htdemucs_6s"),
    ],
)
def test_setting_with_an_unusable_model_is_refused(
    tiny_store: ModelStore, settings: dict[str, str], what: str
) -> None:
    with pytest.raises(SettingsError, match=what):
        check_models(Settings(**settings), tiny_store)


def test_stems_are_in_the_order_of_the_layout() -> None:
    assert choose_stems("4s", None) == ("vocals", "drums", "bass", "other")
    assert choose_stems("6s", ["instrumental", "piano", "vocals"]) == ("vocals", "piano", "instrumental")


@pytest.mark.parametrize(
    ("layout", "stems", "what"),
    [("4s", ["guitar"], "4s has no stem 'guitar'"), ("2s", ["vocals", "vocals"], "is repeated")],
)
def test_invalid_stems_are_refused(layout: str, stems: list[str], what: str) -> None:
    with pytest.raises(ValidationFailed, match=what):
        choose_stems(layout, stems)


def test_other_needs_all_stems_of_the_layout() -> None:
    six = ("vocals", "drums", "bass", "guitar", "piano", "other")
    assert separated_stems("6s", ("vocals",)) == ("vocals",)
    assert separated_stems("6s", ("other",)) == six
    assert separated_stems("6s", ("other", "instrumental")) == (*six, "instrumental")
