"""The URL of the running server, for the links that commands print (row 15)."""

from pathlib import Path

import pytest

from stemsplitter.processes.running import published_url, server_url
from stemsplitter.settings import load_settings


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMSPLITTER_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("STEMSPLITTER_PUBLIC_URL", raising=False)
    monkeypatch.delenv("STEMSPLITTER_PORT", raising=False)


def test_row_15_url_is_that_of_the_running_server() -> None:
    with published_url(load_settings(port=8123)):
        assert server_url(load_settings()) == "http://127.0.0.1:8123"
    assert server_url(load_settings()) == "http://127.0.0.1:8000"


def test_row_15_public_url_precedes(monkeypatch: pytest.MonkeyPatch) -> None:
    with published_url(load_settings(port=8123, public_url="https://stems.example.com")):
        assert server_url(load_settings()) == "https://stems.example.com"
    monkeypatch.setenv("STEMSPLITTER_PUBLIC_URL", "https://other.example.com")
    with published_url(load_settings(port=8123)):
        assert server_url(load_settings()) == "https://other.example.com"


def test_row_15_read_only_data_folder_does_not_stop_the_server(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = load_settings(data_dir=tmp_path / "file" / "data", port=8123)
    with published_url(settings):
        assert server_url(settings) == "http://127.0.0.1:8123"
