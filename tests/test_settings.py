"""An invalid setting is refused at startup with its name and the allowed values."""

from pathlib import Path

import pytest

from stemsplitter.errors import SettingsError
from stemsplitter.settings import load_settings


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:12", "mps"])
def test_valid_device_is_accepted(device: str) -> None:
    assert load_settings(device=device).device == device


@pytest.mark.parametrize("device", ["gpu", "CPU", "cuda:", "cuda:x", "cpu:0", ""])
def test_invalid_device_is_refused(device: str) -> None:
    with pytest.raises(SettingsError, match=r"^STEMSPLITTER_DEVICE is .*: must be auto, cpu, cuda"):
        load_settings(device=device)


@pytest.mark.parametrize(
    ("name", "rest"),
    [
        ("STEMSPLITTER_PUBLIC_ULR", "did you mean STEMSPLITTER_PUBLIC_URL?"),
        ("STEMSPLITTER_DATADIR", "did you mean STEMSPLITTER_DATA_DIR?"),
        ("STEMSPLITTER_SETTING", "did you mean STEMSPLITTER_SETTINGS?"),
        ("stemsplitter_worker", "did you mean STEMSPLITTER_WORKERS?"),
    ],
)
def test_n4_misspelt_variable_is_refused(name: str, rest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert str(refused.value) == f"Unknown variable {name}: {rest}"


def test_n4_variables_of_the_command_and_of_clients_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CACHE_DIR", "OFFLINE", "LOG", "URL", "KEY", "WEBHOOK_SECRET"):
        monkeypatch.setenv(f"STEMSPLITTER_{name}", "1")
    monkeypatch.setenv("stemsplitter_workers", "3")
    assert load_settings().workers == 3


@pytest.mark.parametrize(
    ("text", "name", "rest"),
    [
        ('public_ulr = "https://a.example"', "public_ulr", "did you mean public_url?"),
        ("[limits]\nworkers = 2", "limits", None),
        ("[worker]\nthreads = 2", "worker", "did you mean workers?"),
        ("STEMSPLITTER_WORKERS = 2", "STEMSPLITTER_WORKERS", None),
    ],
)
def test_n4_misspelt_key_of_the_file_is_refused(
    text: str, name: str, rest: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(text)
    monkeypatch.setenv("STEMSPLITTER_SETTINGS", str(file))
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert str(refused.value).startswith(f"Unknown key of {file}: {name}: ")
    assert rest is None or str(refused.value).endswith(rest)


def test_n4_valid_settings_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("workers = 5")
    monkeypatch.setenv("STEMSPLITTER_SETTINGS", str(file))
    assert load_settings().workers == 5
