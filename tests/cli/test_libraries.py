"""``split --cluster`` with a cluster in this process and a toy model, and ``split --server``."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from distributed import LocalCluster
from typer.testing import CliRunner

from stemsplitter.catalogue.store import ModelStore
from stemsplitter.cli.main import app
from stemsplitter.errors import RequestError
from stemsplitter.library import separating
from tests.library.api_stand_in import KEY, stand_in
from tests.separation.toy_model import ToyModel, toy_model

__all__ = ["toy_model"]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    options = {"n_workers": 1, "threads_per_worker": 2, "processes": False, "protocol": "tcp"}
    with LocalCluster(**options, host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster:
        yield cluster.scheduler_address


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch, toy_model: ToyModel, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setattr("stemsplitter.catalogue.opening.load_model", lambda *_: toy_model)
    monkeypatch.setattr(ModelStore, "is_ready", lambda *_: True)
    monkeypatch.setenv("STEMSPLITTER_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    separating._loaded.cache_clear()
    (tmp_path / "in").mkdir()
    for name in ("one", "two"):
        soundfile.write(tmp_path / f"in/{name}.wav", np.full((4_096, 2), 0.1, np.float32), 44_100, "FLOAT")
    yield
    separating._loaded.cache_clear()


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["split", "--model", "htdemucs", *arguments])


def test_folder_is_separated_on_a_cluster(address: str) -> None:
    Path("in/bad.mp3").write_text("not audio")
    options = ("in", "--cluster", address, "-o", "out", "--manifest", "stems.jsonl", "--skip-existing")
    result = run(*options)
    assert result.exit_code == 1
    assert "2 songs, 0.2 s of audio, separated, 1 failed." in result.stdout
    assert "in/bad.mp3: " in result.stderr and "not audio" in result.stderr
    assert len(list(Path("out/one.wav").iterdir())) == 4
    Path("in/bad.mp3").unlink()
    result = run(*options, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"event": "finished", "separated": 0, "failed": 0}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("in", "--zip"), "A library does not take --zip"),
        (("in", "--jobs", "2"), "A cluster does not take --jobs"),
        (("in", "-o", "-"), "A library does not take --output -"),
        (("in", "--skip-existing"), "add --manifest FILE"),
        (("in/one.wav",), "in/one.wav is not a folder"),
    ],
)
def test_what_a_cluster_does_not_take_is_refused(arguments: tuple[str, ...], message: str) -> None:
    result = run(*arguments, "--cluster", "tcp://127.0.0.1:9")
    assert isinstance(result.exception, RequestError) and message in str(result.exception)


def test_share_of_failed_songs_can_be_allowed(address: str) -> None:
    Path("in/bad.mp3").write_text("not audio")
    result = run("in", "--cluster", address, "-o", "out", "--allow-failed", "34")
    assert result.exit_code == 0 and "1 failed" in result.stdout


def test_folder_is_separated_on_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    with stand_in() as api:
        monkeypatch.setenv("STEMSPLITTER_KEY", KEY)
        result = CliRunner().invoke(app, ["split", "in", "--server", api.url, "-o", "out", "--stems", "2s"])
    assert result.exit_code == 0, result.output
    assert "2 songs, 1.0 s of audio, separated." in result.stdout
    assert [body["stemModel"] for body in api.requests] == ["2s", "2s"]
    assert len(list(Path("out/one.wav").iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--rate", "48000", "--verify"), "A server does not take --rate, --verify"),
        (("--cluster", "tcp://127.0.0.1:9"), "leave out --cluster or --server"),
        ((), "Set STEMSPLITTER_KEY to an API key of http://127.0.0.1:9"),
    ],
)
def test_what_a_server_does_not_take_is_refused(
    arguments: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STEMSPLITTER_KEY", raising=False)
    result = CliRunner().invoke(app, ["split", "in", "--server", "http://127.0.0.1:9", *arguments])
    assert isinstance(result.exception, RequestError) and message in str(result.exception)


def test_missing_client_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("server", "server_runs"):
        monkeypatch.delitem(sys.modules, f"stemsplitter.library.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "stemsplitter_client", None)
    result = CliRunner().invoke(app, ["split", "in", "--server", "http://127.0.0.1:9"])
    assert isinstance(result.exception, RequestError)
    assert str(result.exception) == (
        "A server needs its client library: run `pip install stemsplitter-client`."
    )
