from pathlib import Path

import pytest
from argon2 import PasswordHasher

from stemsplitter.accounts import passwords


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of a server that never ran; password hashes are fast."""
    monkeypatch.setenv("STEMSPLITTER_DATA_DIR", str(tmp_path / "server"))
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    return tmp_path / "server"
