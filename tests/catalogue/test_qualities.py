"""Choosing a quality instead of a model."""

from pathlib import Path

import pytest

from stemsplitter.catalogue.qualities import (
    QUALITIES,
    better_model_for,
    check_quality_choice,
    overlap_of,
    quality_notes,
)
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.errors import RequestError
from stemsplitter.separation.layouts import LAYOUTS

TWO, FOUR, SIX = LAYOUTS["2s"], LAYOUTS["4s"], LAYOUTS["6s"]
ALL = {"melband_kim", "scnet_large", "best_6s", "mega53", "htdemucs_6s", "htdemucs", "viperx_317"}


class Store(ModelStore):
    """A store that reports ``here`` as installed."""

    def __init__(self, root: Path, here: set[str]) -> None:
        super().__init__(root, offline=True)
        self._here = {"spleeter_2s", "builtin_6s", *here}

    def is_ready(self, name: str) -> bool:
        return name in self._here


@pytest.mark.parametrize("quality", ["balanced", "best"])
@pytest.mark.parametrize(
    ("here", "stems", "name"),
    [
        (ALL, TWO, "melband_kim"),
        (ALL, ("instrumental",), "melband_kim"),
        (ALL, FOUR, "scnet_large"),
        (ALL, ("drums",), "scnet_large"),
        (ALL, SIX, "best_6s"),
        (ALL, ("piano", "other"), "best_6s"),
        ({"scnet_large", "best_6s"}, TWO, "scnet_large"),
        ({"mega53"}, SIX, "mega53"),
        ({"melband_kim"}, SIX, None),
        ({"htdemucs_6s", "viperx_317"}, TWO, None),
        (set(), TWO, None),
    ],
)
def test_the_better_model_is_the_best_permissive_one_that_is_installed(
    tmp_path: Path, here: set[str], stems: tuple[str, ...], name: str | None, quality: str
) -> None:
    store = Store(tmp_path, here)
    found = better_model_for(stems, store, quality)
    assert (found.name if found else None) == name
    assert bool(quality_notes(stems, store, quality)) == (name is None)


@pytest.mark.parametrize("quality", [None, "fast"])
def test_fast_and_no_quality_have_no_better_model(tmp_path: Path, quality: str | None) -> None:
    store = Store(tmp_path, ALL)
    assert better_model_for(SIX, store, quality) is None and quality_notes(SIX, store, quality) == ()


@pytest.mark.parametrize(("stems", "name"), [(TWO, "melband_kim"), (FOUR, "scnet_large"), (SIX, "best_6s")])
def test_a_quality_without_a_model_names_one_to_install(
    tmp_path: Path, stems: tuple[str, ...], name: str
) -> None:
    (note,) = quality_notes(stems, Store(tmp_path, set()), "best")
    assert "quality best" in note and note.endswith(f"run `stemsplitter models pull {name}`.")


def test_only_the_best_quality_has_more_overlap() -> None:
    assert [overlap_of(quality) for quality in (None, *QUALITIES)] == [None, None, None, 0.5]


def test_an_unknown_quality_names_the_choices() -> None:
    with pytest.raises(RequestError, match="no quality 'great': choose fast, balanced, best"):
        check_quality_choice("great", None)


def test_a_model_and_a_quality_exclude_each_other() -> None:
    with pytest.raises(
        RequestError, match="The model htdemucs and the quality best exclude each other: choose"
    ):
        check_quality_choice("best", "htdemucs")
    check_quality_choice("best", None)
    check_quality_choice(None, "htdemucs")
