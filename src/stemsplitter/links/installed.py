"""The installed yt-dlp: that of the extra ``links``, or a newer one in the data folder.

Sites change several times a year, and an old yt-dlp then fails. :func:`update` installs the newest release into a
folder of its own, so that the environment stays as it was installed; the newest of all is used, from the next link on.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from stemsplitter.links.errors import LinkError

PACKAGE = "yt-dlp"
MISSING = "Links need yt-dlp: run `pip install 'stemsplitter[links]'` on the computer that fetches them."
_MODULE = "yt_dlp"
_FOLDER = "yt-dlp"  # in the data folder, with a folder for each version
_VERSION = re.compile(r"[0-9]{4}(\.[0-9]{1,4}){2,3}")
_TIMEOUT_S = 300
_KEPT = 2  # a running process may still import modules of the one in use until now


@dataclass(frozen=True)
class Installed:
    """A version of yt-dlp. ``folder`` is to be put on the path of modules; None if it is in the environment."""

    version: str
    folder: Path | None


def find(data_dir: Path) -> Installed | None:
    """Return the newest installed yt-dlp, None if there is none. It is not imported."""
    found = [
        Installed(folder.name, folder)
        for folder in _root(data_dir).glob("*")
        if _VERSION.fullmatch(folder.name) and (folder / _MODULE).is_dir()
    ]
    with contextlib.suppress(PackageNotFoundError):
        found.append(Installed(version(PACKAGE), None))
    return max(found, key=_order, default=None)


def update(data_dir: Path) -> tuple[Installed, str]:
    """Install the newest yt-dlp from the user's package index into the data folder.

    pip verifies the file with the hash in the index; only a wheel is used, so nothing of it runs during installation.
    The new version appears under its name complete, or not at all.

    Returns:
        The version in use, and the SHA-256 of the downloaded file in hex; empty if there is no newer version.

    Raises:
        LinkError: STEMSPLITTER_OFFLINE is set, pip failed, or the package does not start.
    """
    if os.environ.get("STEMSPLITTER_OFFLINE", "") not in ("", "0"):
        raise LinkError("yt-dlp cannot be updated while STEMSPLITTER_OFFLINE is set: unset it.")
    root, before = _root(data_dir), find(data_dir)
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=".new-") as scratch:
        files, report = Path(scratch) / "files", Path(scratch) / "report.json"
        _pip("install", "--target", str(files), "--report", str(report), "--no-deps", PACKAGE)
        (entry,) = json.loads(report.read_text(encoding="utf-8"))["install"]
        new = Installed(entry["metadata"]["version"], None)
        if before is not None and _order(new) <= _order(before):
            return before, ""
        _check(files, new.version)
        target = root / new.version
        with contextlib.suppress(OSError):  # another process has just installed it
            files.rename(target)
    for folder in sorted(root.glob("[0-9]*"), key=lambda folder: _order(Installed(folder.name, folder)))[
        :-_KEPT
    ]:
        shutil.rmtree(folder, ignore_errors=True)
    return Installed(new.version, target), entry["download_info"]["archive_info"]["hashes"]["sha256"]


def _root(data_dir: Path) -> Path:
    return data_dir / _FOLDER


def _order(installed: Installed) -> list[int]:
    return [int(part) for part in re.findall("[0-9]+", installed.version)]


def _pip(*arguments: str) -> None:
    command = [
        *(sys.executable, "-m", "pip", *arguments),
        *("--only-binary", ":all:", "--no-cache-dir", "--disable-pip-version-check", "--no-input", "--quiet"),
    ]
    _run(command, "pip could not fetch yt-dlp: check the network and pip's index settings.")


def _check(folder: Path, expected: str) -> None:
    """Import the package in a process of its own, which must state its version."""
    program = (
        f"import sys; sys.path.insert(0, sys.argv[1]); import {_MODULE}.version as v; print(v.__version__)"
    )
    problem = f"yt-dlp {expected} does not start with this Python: the installed version stays in use."
    stated = _run([sys.executable, "-I", "-c", program, str(folder)], problem)
    if _order(Installed(stated, None)) != _order(Installed(expected, None)):
        raise LinkError(problem)


def _run(command: list[str], problem: str) -> str:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        output = error.stderr or ""
        raise LinkError(problem) from RuntimeError(str(output)[-4000:])
    return done.stdout.strip()
