"""The command ``serve``, where it cannot start."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from stemsplitter.catalogue.store import ModelStore
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


def test_a_port_that_is_taken_is_told_and_ends_the_server(environment: dict[str, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = serve(environment, "--port", port)
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"error: The server cannot listen on 127.0.0.1:{port}: choose another --port"
    )
    assert "ast_live_" not in done.stdout  # a key that is shown once is not made for nothing
    accounts = subprocess.run(
        [COMMAND, "accounts", "list", "--json"],
        env=environment, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert accounts.stdout.strip() == "[]"


def test_an_api_whose_port_is_taken_says_so(environment: dict[str, str]) -> None:
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


def test_a_setting_that_names_no_model_is_told(environment: dict[str, str]) -> None:
    done = serve(environment | {"STEMSPLITTER_MODEL_6S": "none"})
    assert done.returncode == 1
    assert done.stderr.startswith("error: A setting names the model none: There is no model 'none'")
