import dataclasses
import hashlib
import json
import os
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stemsplitter.catalogue import checks as checks_module
from stemsplitter.catalogue import store as store_module
from stemsplitter.catalogue.entries import ModelEntry, Origin, ShippedSource, WeightFile, load_tools
from stemsplitter.catalogue.precision import PrecisionCheck
from stemsplitter.catalogue.speeds import MeasuredSpeed
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.cli import models as models_module
from stemsplitter.cli.main import app
from stemsplitter.errors import ModelError
from stemsplitter.files.verified import Progress

DATA = b"weights"


def entry(name: str, source: object = None) -> ModelEntry:
    weights = (WeightFile("w.th", len(DATA), hashlib.sha256(DATA).hexdigest(), source),)  # type: ignore[arg-type]
    note = "The terms of these weights are unclear."
    return ModelEntry(
        name,
        "A model",
        "htdemucs",
        ("vocals", "instrumental"),
        "unclear",
        note,
        False,
        Origin(),
        weights,
        {},
        {},
    )


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a store with a built-in model and one that is not installed."""
    shipped = tmp_path / "w.th"
    shipped.write_bytes(DATA)
    catalogue = (entry("here", ShippedSource(shipped)), entry("there"))
    monkeypatch.setattr(store_module, "load_catalogue", lambda: catalogue)
    monkeypatch.setattr(models_module, "load_tools", lambda: ())
    monkeypatch.setenv("STEMSPLITTER_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path / "models"


def run(*arguments: str):
    return CliRunner().invoke(app, ["models", *arguments])


def test_list_columns() -> None:
    done = run("list")
    assert done.exit_code == 0
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines == [
        ["name", "stems", "license", "size", "ready", "precision", "speed"],
        ["here", "vocals", "instrumental", "unclear", "0", "MB", "built", "in"],
        ["there", "vocals", "instrumental", "unclear", "0", "MB", "no"],
    ]


def test_the_precision_is_checked_shown_and_checked_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []

    def check(model: ModelEntry, store: ModelStore, device: str = "auto") -> PrecisionCheck:
        checked.append(model.name)
        return PrecisionCheck("bf16", "bf16", {"vocals": 41.3}, {"vocals": 0.02})

    records = {"a processor": check(entry("here"), ModelStore())}
    monkeypatch.setattr(checks_module, "needs_check", lambda model: model.name == "here")
    monkeypatch.setattr(checks_module, "check_precision", check)
    for module in (models_module, checks_module):
        monkeypatch.setattr(
            module, "recorded_checks", lambda model, _: records if model.name == "here" else {}
        )
    assert "built in  bf16" in run("list").stdout.splitlines()[1]
    shown = json.loads(run("list", "--json").stdout)[0]["precision"]["a processor"]
    assert (shown["precision"], shown["snr_db"]) == ("bf16", {"vocals": 41.3})
    checked.clear()
    assert run("verify").exit_code == 0 and checked == []
    assert "bf16 (bf16: 41 dB from fp32, energy within 0.02 dB)" in run("verify", "--precision").output
    assert run("pull", "here").exit_code == 0
    assert checked == ["here"]
    records.clear()
    assert run("pull", "here").exit_code == 0
    assert checked == ["here", "here"]


def test_the_speed_is_measured_and_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    free = dataclasses.replace(store_module.load_catalogue()[0], permissive=True)
    monkeypatch.setattr(store_module, "load_catalogue", lambda: (free, entry("there")))
    speeds = iter((2.34, 5.67))
    monkeypatch.setattr(
        checks_module,
        "measure_speed",
        lambda *_: MeasuredSpeed(next(speeds), "cpu (a processor, OpenVINO fp32, 2 threads)"),
    )
    told = "here: 2.3× real time on cpu (a processor, OpenVINO fp32, 2 threads)."
    assert told in run("pull", "here").stderr
    assert "real time" not in run("pull", "here").stderr
    assert run("list").stdout.splitlines()[1].split()[-1] == "2.3×"
    assert "real time" not in run("verify").output
    assert "here: 5.7× real time" in run("verify", "here", "--speed").stderr
    assert [model["times_real_time"] for model in json.loads(run("list", "--json").stdout)] == [5.67, None]


def test_an_optional_model_is_tried_once_a_day(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    tried: list[str] = []

    def pull(store: ModelStore, name: str, progress: Progress, *, once: bool) -> None:
        assert once
        tried.append(name)
        raise ModelError("No host can be reached.")

    monkeypatch.setattr(ModelStore, "pull", pull)
    first, second = run("pull", "there", "--optional"), run("pull", "there", "--optional")
    assert (first.exit_code, first.output) == (
        0,
        "Going on without the model there: No host can be reached.\n",
    )
    assert (second.exit_code, second.output, tried) == (0, "", ["there"])
    yesterday = time.time() - 24 * 3600 - 1
    os.utime(root / ".there.failed", (yesterday, yesterday))
    run("pull", "there", "--optional")
    assert tried == ["there", "there"]


def test_an_optional_model_is_installed_without_a_word_on_later_starts(
    monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    def pull(store: ModelStore, name: str, progress: Progress, *, once: bool) -> None:
        (root / name).mkdir(parents=True, exist_ok=True)
        (root / name / "w.th").write_bytes(DATA)

    monkeypatch.setattr(ModelStore, "pull", pull)
    first = run("pull", "there", "--optional")
    assert first.stdout == "there is ready.\n" and "license unclear" in first.stderr
    assert run("pull", "there", "--optional").output == ""


def test_an_optional_model_is_not_tried_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMSPLITTER_OFFLINE", "1")
    monkeypatch.setattr(ModelStore, "pull", lambda *_, **__: pytest.fail("it was fetched"))
    assert run("pull", "there", "--optional").output == ""


def test_list_has_the_models_of_tools_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models_module, "load_tools", load_tools)
    models = json.loads(run("list", "--json").stdout)
    assert [model["name"] for model in models] == ["here", "there", "deepfilternet3", "kokoro"]


def test_list_as_json() -> None:
    models = json.loads(run("list", "--json").stdout)
    assert [(model["name"], model["ready"]) for model in models] == [("here", True), ("there", False)]
    assert models[0]["stems"] == ["vocals", "instrumental"] and models[0]["size_bytes"] == len(DATA)
    assert [model["built_in"] for model in models] == [True, False]
    assert models[0]["permissive"] is False and models[0]["licence_note"]


def test_pull_prints_license_and_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    def pull(store: ModelStore, name: str, progress: Progress) -> None:
        progress(1_000_000, 4_000_000)
        progress(4_000_000, 4_000_000)
        progress(4_000_000, 4_000_000)

    monkeypatch.setattr(ModelStore, "pull", pull)
    done = run("pull", "there")
    assert done.exit_code == 0 and done.stdout == "there is ready.\n"
    assert done.stderr.splitlines() == [
        "A model: license unclear. The terms of these weights are unclear.",
        "there: 4.0 of 4.0 MB",
    ]


def test_a_chain_shows_the_terms_and_downloads_the_files_of_its_models(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chain = dataclasses.replace(
        entry("chain"), title="A chain", architecture="chain", weights=(), chain=("there", "here")
    )
    catalogue = (*store_module.load_catalogue(), chain)
    monkeypatch.setattr(store_module, "load_catalogue", lambda: catalogue)
    pulled: list[str] = []
    monkeypatch.setattr(ModelStore, "pull", lambda _, name, progress: pulled.append(name))
    done = run("pull", "chain")
    assert done.exit_code == 0 and done.stdout == "chain is ready.\n" and pulled == ["there"]
    note = "license unclear. The terms of these weights are unclear."
    assert done.stderr.splitlines() == [f"A chain: {note}", f"A model: {note}", f"A model: {note}"]
    assert run("list").stdout.splitlines()[-1].split() == ["chain", "vocals", "instrumental", "unclear", "no"]
    listed = json.loads(run("list", "--json").stdout)[-1]
    assert (listed["chain"], listed["built_in"], listed["size_bytes"]) == (["there", "here"], False, 0)


def test_pull_of_built_in_model_downloads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ModelStore, "pull", lambda *_: pytest.fail("it was fetched"))
    assert run("pull", "here").stdout == "here is built in: there is nothing to download.\n"


def test_pull_of_damaged_built_in_model_fails(tmp_path: Path) -> None:
    (tmp_path / "w.th").write_bytes(b"WEIGHTS")
    done = run("pull", "here")
    assert isinstance(done.exception, ModelError) and "reinstall stemsplitter" in str(done.exception)


def test_add_verify_remove(tmp_path: Path, root: Path) -> None:
    (tmp_path / "mine.th").write_bytes(DATA)
    assert run("add", "there", str(tmp_path / "mine.th")).stdout == (
        "there is ready. Stems: vocals, instrumental.\n"
    )
    assert run("verify").stdout == "here  w.th  ok\nthere  w.th  ok\n"
    assert run("verify", "there").stdout == "there  w.th  ok\n"
    (root / "there" / "w.th").write_bytes(b"x")
    done = run("verify")
    assert done.stdout == "here  w.th  ok\nthere  w.th  damaged\n"
    assert isinstance(done.exception, ModelError) and "models pull there" in str(done.exception)
    assert run("remove", "there").stdout == "Removed there: 0 MB freed.\n"
    assert not (root / "there").exists()


def test_remove_keeps_built_in_weights(root: Path) -> None:
    made = ModelStore(root).cache_dir("here") / "graph.bin"
    made.write_bytes(bytes(2_000_000))
    assert run("remove", "here").stdout == "Removed here: 2 MB freed.\n"
    assert not made.exists() and ModelStore(root).is_ready("here")


def test_add_lists_missing_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    second = WeightFile("second.th", 3, "0" * 64)
    two = ModelEntry(**{**vars(entry("two")), "weights": (*entry("two").weights, second)})
    monkeypatch.setattr(store_module, "load_catalogue", lambda: (two,))
    (tmp_path / "mine.th").write_bytes(DATA)
    assert run("add", "two", str(tmp_path / "mine.th")).stdout == (
        "Added mine.th; two still needs second.th.\n"
    )


def test_verify_without_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "load_catalogue", lambda: (entry("there"),))
    done = run("verify")
    assert (done.exit_code, done.stdout) == (0, "No models are installed.\n")
