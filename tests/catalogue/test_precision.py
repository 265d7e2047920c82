"""Half precision is used only where a comparison on this hardware showed that it is exact enough."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from stemsplitter.catalogue import precision as module
from stemsplitter.catalogue.entries import ModelEntry, load_catalogue
from stemsplitter.catalogue.precision import (
    check_precision,
    needs_check,
    open_checked_runtime,
    recorded_checks,
)
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.separation import runtimes

ENTRIES = {entry.name: entry for entry in load_catalogue()}


class World:
    """Runtimes with half precision whose models add noise, in dB below each stem, or a gain to the first stem."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.faster: tuple[str, ...] = ("fp16", "bf16")
        self.noise_db = {"fp32": 200.0, "fp16": 200.0, "bf16": 200.0}
        self.gain = {"fp32": 1.0, "fp16": 1.0, "bf16": 1.0}
        self.layer_db = {"encoder": 0.0, "separation": 0.0, "decoder": 0.0}  # of a layer in single precision
        self.opened: list[tuple[str, ...]] = []
        self.store, self.entry = ModelStore(folder), ENTRIES["scnet_large"]
        monkeypatch.setattr(runtimes, "open_runtime", self._open)
        monkeypatch.setattr(module, "load_model", self._load)

    def _open(
        self, device: str, precision: str, threads: int | None = None, layers: tuple[str, ...] = ()
    ) -> Any:
        self.opened.append((precision, *layers))
        return SimpleNamespace(hardware="a GPU", faster=self.faster, precision=precision, layers=layers)

    def _load(self, entry: ModelEntry, store: ModelStore, runtime: Any) -> Any:
        def separate(mixture: np.ndarray) -> np.ndarray:
            stems = np.stack([mixture * np.float32(1 + number) for number in range(len(entry.stems))])
            noise = np.random.default_rng(1).standard_normal(stems.shape)
            noise_db = self.noise_db[runtime.precision] + sum(self.layer_db[name] for name in runtime.layers)
            noise *= stems.std(axis=(1, 2), keepdims=True) * 10 ** (-noise_db / 20)
            stems[0] *= self.gain[runtime.precision]
            return (stems + noise).astype(np.float32)

        return SimpleNamespace(segment=44_100, sample_rate=44_100, separate=separate)

    def used(self) -> str:
        runtime: Any = open_checked_runtime(self.entry, self.store, "auto", "auto", None)
        return str(runtime.precision)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def test_single_precision_is_used_until_another_is_checked(world: World) -> None:
    assert world.used() == "fp32"
    check = check_precision(world.entry, world.store)
    assert (check.precision, check.compared) == ("fp16", "fp16")
    assert set(check.snr_db) == set(world.entry.stems)
    assert world.used() == "fp16"
    assert recorded_checks(world.entry, world.store) == {"a GPU": check}
    assert "fp16: " in str(check) and "from fp32" in str(check)


@pytest.mark.parametrize(("noise_db", "precision"), [(36, "fp16"), (34, "bf16")])
def test_the_fastest_precision_with_enough_snr_is_used(world: World, noise_db: float, precision: str) -> None:
    world.noise_db["fp16"] = noise_db
    assert check_precision(world.entry, world.store).precision == precision
    assert world.used() == precision


def test_single_precision_stays_where_no_other_is_exact_enough(world: World) -> None:
    world.noise_db |= {"fp16": 20, "bf16": 30}
    check = check_precision(world.entry, world.store)
    assert (check.precision, check.compared) == ("fp32", "fp16")
    assert min(check.snr_db.values()) == pytest.approx(20, abs=0.5)
    assert world.used() == "fp32"


@pytest.mark.parametrize(
    ("gains", "layers"),
    [
        ({"separation": 6.0}, ("separation",)),
        ({"encoder": 2.0, "decoder": 3.5}, ("decoder", "encoder")),
        ({"encoder": 1.0, "separation": 1.0, "decoder": 1.0}, None),
    ],
)
def test_bf16_with_the_layers_in_fp32_that_need_it_is_used(
    world: World, gains: dict[str, float], layers: tuple[str, ...] | None
) -> None:
    world.noise_db |= {"fp16": 20, "bf16": 30}
    world.layer_db |= gains
    check = check_precision(world.entry, world.store)
    world.opened.clear()
    if layers is None:
        assert (check.precision, check.fp32_layers, check.compared) == ("fp32", (), "fp16")
        assert world.used() == "fp32"
    else:
        assert (check.precision, check.fp32_layers) == ("bf16", layers)
        assert f"bf16 with {' and '.join(layers)} in fp32 (bf16: 3" in str(check)
        assert world.used() == "bf16" and world.opened[-1] == ("bf16", *layers)
        assert recorded_checks(world.entry, world.store) == {"a GPU": check}


def test_a_change_of_the_shares_of_energy_is_not_exact_enough(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MIN_SNR_DB", 10.0)
    world.gain |= {"fp16": 1.1, "bf16": 1.005}
    assert check_precision(world.entry, world.store).precision == "bf16"


def test_values_out_of_range_are_not_exact_enough(world: World) -> None:
    world.gain |= {"fp16": float("nan"), "bf16": float("inf")}
    with np.errstate(all="ignore"):
        assert check_precision(world.entry, world.store).precision == "fp32"


def test_hardware_without_a_faster_precision_computes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.faster = ()
    monkeypatch.setattr(module, "load_model", None)
    check = check_precision(world.entry, world.store)
    assert str(check) == "fp32, the only precision here"
    assert world.used() == "fp32"


def test_a_named_precision_is_used_as_named(world: World) -> None:
    runtime: Any = open_checked_runtime(world.entry, world.store, "auto", "bf16", None)
    assert runtime.precision == "bf16"


def test_a_result_of_another_version_is_not_used(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    check_precision(world.entry, world.store)
    monkeypatch.setattr(module, "__version__", "another")
    assert world.used() == "fp32" and not recorded_checks(world.entry, world.store)


@pytest.mark.parametrize("text", ["", "[]", '{"a GPU": 3}', '{"a GPU": {"of": ""}}', "not JSON"])
def test_a_broken_record_counts_as_none(world: World, text: str) -> None:
    check_precision(world.entry, world.store)
    (world.store.root / world.entry.name / "precision.json").write_text(text)
    assert world.used() == "fp32"


def test_models_of_older_architectures_need_no_check(world: World) -> None:
    assert [name for name, entry in ENTRIES.items() if needs_check(entry)] == [
        *("scnet_large", "melband_kim", "mega53", "viperx_317")
    ]
    runtime: Any = open_checked_runtime(ENTRIES["htdemucs"], world.store, "auto", "auto", None)
    assert runtime.precision == "auto"
