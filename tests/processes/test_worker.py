"""Models of a worker, and the command `worker`."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stemsplitter.catalogue.store import ModelStore
from stemsplitter.cli.main import app
from stemsplitter.errors import SettingsError
from stemsplitter.processes import worker
from stemsplitter.processes.worker import runnable_models
from stemsplitter.settings import Settings
from tests.acceptance.tiny_model import write_tiny_model


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    """Two custom models in addition to the built-in one."""
    store = ModelStore(tmp_path / "models", offline=True)
    for name in ("tiny_a", "tiny_b"):
        store.add(name, write_tiny_model(tmp_path / f"{name}.safetensors"))
    return store


def test_worker_uses_all_installed_models(store: ModelStore) -> None:
    names = runnable_models(Settings(), store)
    assert {"builtin_6s", "tiny_a", "tiny_b"} <= set(names)
    assert "htdemucs" not in names  # not installed


def test_worker_uses_installed_models_of_the_setting(store: ModelStore) -> None:
    settings = Settings(worker_models="tiny_b, htdemucs")  # type: ignore[arg-type]
    assert runnable_models(settings, store) == ["tiny_b"]


def test_unknown_model_is_refused(store: ModelStore) -> None:
    with pytest.raises(SettingsError, match=r"WORKER_MODELS cannot be used: There is no model 'tinny'"):
        runnable_models(Settings(worker_models=("tiny_a", "tinny")), store)


def test_command_has_options_for_worker_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given: list[tuple[Settings, str | None]] = []
    monkeypatch.setattr(worker, "run", lambda *arguments: given.append(arguments))

    def call(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["worker", "--data-dir", str(tmp_path), *arguments])

    options = ("--device", "cuda:0", "--concurrency", "4", "--models", "tiny_a,tiny_b")
    assert call(*options, "--cluster", "tcp://head:8786").exit_code == 0
    ((settings, cluster),) = given
    assert cluster == "tcp://head:8786"
    assert (settings.device, settings.concurrency) == ("cuda:0", 4)
    assert settings.worker_models == ("tiny_a", "tiny_b")
    for wrong in ("0", "65"):
        refused = call("--concurrency", wrong)
        assert isinstance(refused.exception, SettingsError)
        assert "STEMSPLITTER_CONCURRENCY" in str(refused.exception)
