"""A copy of the deployment files with secrets."""

import shutil
import subprocess
from pathlib import Path

import pytest

from .settings import ROOT


@pytest.fixture(scope="session")
def deploy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy of deploy/ with generated secrets, in a copy of the project's Docker files."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("Dockerfile", "compose.yaml"):
        shutil.copy2(ROOT / name, folder)
    shutil.copytree(ROOT / "deploy", folder / "deploy", ignore=shutil.ignore_patterns("secrets*"))
    subprocess.run([folder / "deploy" / "prepare"], check=True, capture_output=True, timeout=30)
    return folder / "deploy"
