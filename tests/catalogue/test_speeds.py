"""The speed of models on this machine, and what is chosen by it."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from stemsplitter.catalogue import checks, opening, qualities, speeds
from stemsplitter.catalogue.checks import check_model, is_checked
from stemsplitter.catalogue.entries import ModelEntry, load_catalogue
from stemsplitter.catalogue.qualities import better_model_for, quality_times
from stemsplitter.catalogue.speeds import MeasuredSpeed, measure_speed, record_speed, recorded_speed
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.separation.layouts import LAYOUTS
from tests.separation.toy_model import ToyModel

CPU = "cpu (a processor, OpenVINO 1 fp32, 2 threads)"
GPU = "cuda:0 (a GPU, torch 2 fp16)"


class Store(ModelStore):
    """A store that reports ``here`` as installed."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, offline=True)
        self.here = {"spleeter_2s", "builtin_6s", "scnet_large", "best_6s", "melband_kim"}

    def is_ready(self, name: str) -> bool:
        return name in self.here


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(speeds, "_has_torch", lambda: True)
    return Store(tmp_path)


def keep(store: Store, name: str, factor: float, device: str = CPU) -> None:
    record_speed(store.entry(name), store, MeasuredSpeed(factor, device))


def test_the_factor_counts_a_segment_for_each_hop(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ToyModel(concurrency=2)
    ticks = iter((10.0, 10.5))
    monkeypatch.setattr(opening, "open_model", lambda *_: model)
    monkeypatch.setattr("time.perf_counter", lambda: next(ticks, 0.0))
    speed = measure_speed(store.entry("scnet_large"), store)
    assert model.calls == 2 * speeds.SEGMENTS
    expected = 2 * speeds.SEGMENTS * model.hop / model.sample_rate / 0.5
    assert speed == MeasuredSpeed(round(expected, 2), "cpu (toy)")


def test_a_record_holds_for_the_device_the_machine_and_the_weights(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = store.entry("builtin_6s")
    assert recorded_speed(entry, store) is None
    keep(store, entry.name, 2.5)
    assert [recorded_speed(entry, store, device) for device in ("auto", "cpu", "cuda")] == [2.5, 2.5, None]
    keep(store, entry.name, 90, GPU)
    assert [recorded_speed(entry, store, device) for device in ("auto", "cpu", "cuda:0")] == [90, 2.5, 90]
    monkeypatch.setattr(speeds, "_has_torch", lambda: False)
    assert recorded_speed(entry, store) == 2.5
    store.here -= {"spleeter_2s"}  # it separated the vocals
    assert recorded_speed(entry, store) is None
    store.here |= {"spleeter_2s"}
    monkeypatch.setattr(speeds, "_processor", lambda: "another")
    assert recorded_speed(entry, store) is None


def test_a_record_of_another_version_is_not_used(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(store, "builtin_6s", 2.5)
    monkeypatch.setattr(speeds, "__version__", "another")
    assert recorded_speed(store.entry("builtin_6s"), store) is None


@pytest.mark.parametrize("text", ["", "[]", "not JSON", '{"KEY": 3}', '{"KEY": {"of": "OF"}}'])
def test_a_broken_record_counts_as_none(store: Store, text: str) -> None:
    entry = store.entry("builtin_6s")
    keep(store, entry.name, 2.5)
    text = text.replace("KEY", speeds._key("cpu")).replace("OF", speeds._identity(entry, store))
    (store.root / entry.name / "speed.json").write_text(text)
    assert recorded_speed(entry, store) is None


def chosen(store: Store, device: str = "auto") -> list[str | None]:
    """Return the names of the models without a quality that are better than those of ``fast``."""
    found = [better_model_for(stems, store, None, device) for stems in LAYOUTS.values()]
    return [entry and entry.name for entry in found]


def test_a_better_model_is_the_default_where_it_is_fast_enough(store: Store) -> None:
    assert chosen(store) == [None, None, None]
    for name, factor in (("melband_kim", 1.2), ("scnet_large", 1.5), ("best_6s", 1.49)):
        keep(store, name, factor)
    assert chosen(store) == [None, "scnet_large", "scnet_large"]
    keep(store, "best_6s", 1.5)
    keep(store, "melband_kim", 30, GPU)
    assert chosen(store) == ["best_6s", "scnet_large", "melband_kim"]
    assert chosen(store, "cpu") == ["best_6s", "scnet_large", "scnet_large"]


def test_a_named_quality_does_not_depend_on_the_speed(store: Store) -> None:
    keep(store, "scnet_large", 0.1)
    found = better_model_for(LAYOUTS["4s"], store, "balanced")
    assert found is not None and found.name == "scnet_large"
    assert better_model_for(LAYOUTS["4s"], store, "fast") is None


def test_the_times_of_the_qualities_are_those_that_were_measured(store: Store) -> None:
    stems = LAYOUTS["4s"]
    assert quality_times(stems, store) == {}
    keep(store, "builtin_6s", 10)
    assert quality_times(stems, store) == {"fast": 0.1}
    keep(store, "scnet_large", 2)
    assert quality_times(stems, store) == {"fast": 0.1, "balanced": 0.5, "best": 0.75}
    store.here -= {"scnet_large", "best_6s"}
    assert quality_times(stems, store) == {"fast": 0.1, "balanced": 0.1, "best": pytest.approx(0.15)}


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the measurements instead of making them."""
    names: list[str] = []

    def measure(entry: ModelEntry, store: ModelStore, device: str) -> MeasuredSpeed:
        names.append(entry.name)
        return MeasuredSpeed(3.0, CPU)

    monkeypatch.setattr(checks, "measure_speed", measure)
    monkeypatch.setattr(checks, "needs_check", lambda _: False)
    return names


def test_a_model_is_measured_with_all_that_were_not(store: Store, measured: list[str]) -> None:
    store.here -= {"melband_kim"}
    lines: list[str] = []
    assert not is_checked("scnet_large", store)
    check_model("scnet_large", store, lines.append)
    assert measured == ["scnet_large", "spleeter_2s", "builtin_6s", "best_6s"]
    assert lines[0] == f"scnet_large: 3.0× real time on {CPU}." and is_checked("scnet_large", store)
    measured.clear()
    check_model("best_6s", store, lines.append)
    assert measured == ["scnet_large", "builtin_6s", "best_6s"]


def test_models_of_tools_and_those_that_have_to_be_named_are_not_timed(
    store: Store, measured: list[str]
) -> None:
    store.here |= {"htdemucs", "deepfilternet3"}
    for name in ("spleeter_2s", "builtin_6s", "scnet_large", "best_6s", "melband_kim"):
        keep(store, name, 3)
    for name in ("htdemucs", "deepfilternet3"):
        check_model(name, store, lambda _: None)
        assert is_checked(name, store)
    assert measured == []


def test_the_child_process_checks_in_its_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[Any] = []
    monkeypatch.setattr(sys, "argv", ["checks", str(tmp_path), "scnet_large", "cpu"])
    monkeypatch.setattr(checks.os, "nice", checked.append)
    monkeypatch.setattr(checks, "_end_with_parent", lambda: None)
    monkeypatch.setattr(
        checks, "check_model", lambda name, store, report, device: checked.append((name, store.root, device))
    )
    checks.main()
    assert checked == [checks.NICE, ("scnet_large", tmp_path, "cpu")]


def test_every_better_model_is_in_the_catalogue() -> None:
    assert set(qualities.BETTER) <= {entry.name for entry in load_catalogue()}


def test_torch_is_looked_for_without_importing_it() -> None:
    assert speeds._has_torch() == (importlib.util.find_spec("torch") is not None)
