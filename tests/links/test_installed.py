"""Updates of yt-dlp, with a package index in a folder."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from stemsplitter.links import LinkError, installed
from stemsplitter.links.installed import Installed

NEW = "2999.1.2"


def write_wheel(folder: Path, version: str, code: str = "") -> str:
    """Write a wheel of a package of this name; return its SHA-256."""
    folder.mkdir(exist_ok=True)
    path = folder / f"yt_dlp-{version}-py3-none-any.whl"
    info = f"yt_dlp-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("yt_dlp/__init__.py", code)
        wheel.writestr("yt_dlp/version.py", f"__version__ = '{version}'")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: yt-dlp\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that pip installs from."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.delenv("STEMSPLITTER_OFFLINE", raising=False)
    return tmp_path / "index"


def test_newer_version_is_installed_beside_the_environment(index: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "yt-dlp"
    before = installed.find(tmp_path / "data")
    assert before is not None and before.folder is None
    for version in ("2998.9.9", "2998.10.1", "not a version"):
        (folder / version / "yt_dlp").mkdir(parents=True)
    assert installed.find(tmp_path / "data") == Installed("2998.10.1", folder / "2998.10.1")
    sha256 = write_wheel(index, NEW)
    new, digest = installed.update(tmp_path / "data")
    assert (new, digest) == (Installed(NEW, folder / NEW), sha256)
    assert installed.find(tmp_path / "data") == new
    assert {path.name for path in folder.iterdir()} == {
        "2998.10.1",
        NEW,
        "not a version",
    }  # the one before is kept
    assert installed.update(tmp_path / "data") == (new, "")  # there is no newer one


def test_version_that_does_not_start_is_not_installed(index: Path, tmp_path: Path) -> None:
    write_wheel(index, NEW, "raise SystemExit('broken')")
    before = installed.find(tmp_path / "data")
    with pytest.raises(LinkError, match="does not start"):
        installed.update(tmp_path / "data")
    assert installed.find(tmp_path / "data") == before
    assert not list((tmp_path / "data" / "yt-dlp").iterdir())


def test_failure_of_pip_is_one_sentence(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LinkError, match="pip could not fetch yt-dlp"):
        installed.update(tmp_path / "data")
    monkeypatch.setenv("STEMSPLITTER_OFFLINE", "1")
    with pytest.raises(LinkError, match="STEMSPLITTER_OFFLINE"):
        installed.update(tmp_path / "data")
