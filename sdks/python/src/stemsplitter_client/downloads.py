"""Downloads of files: complete or not at all."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import DownloadError, error_of
from .transport import LOST, RETRIED, Http, Response

_BLOCK = 1 << 16
_SUFFIX = re.compile(r"\.([a-z0-9]{2,5})(?:\?.*)?$")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def download_files(http: Http, links: Mapping[str, str], folder: Path) -> dict[str, Path]:
    """Download links into files of a folder, named by their keys. All files appear together, when all are complete."""
    for name in links:
        if not _NAME.fullmatch(name):
            raise DownloadError(f"{name!r} is not a file name.")
    folder.mkdir(parents=True, exist_ok=True)
    hidden = Path(tempfile.mkdtemp(prefix=".stems-", dir=folder))
    try:
        for name, url in links.items():
            download(http, url, {}, hidden / name)
        suffixes = {name: _SUFFIX.search(url) for name, url in links.items()}
        found = {
            name: folder / f"{name}.{match[1] if match else 'audio'}" for name, match in suffixes.items()
        }
        for name, path in found.items():
            (hidden / name).replace(path)
        return found
    finally:
        shutil.rmtree(hidden)


def download_file(http: Http, url: str, headers: Mapping[str, str], path: Path) -> Path:
    """Download a file, which appears when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = Path(tempfile.mkdtemp(prefix=".download-", dir=path.parent))
    try:
        download(http, url, headers, hidden / "file")
        (hidden / "file").replace(path)
        return path
    finally:
        shutil.rmtree(hidden)


def download(http: Http, url: str, headers: Mapping[str, str], path: Path) -> None:
    """Download into a file and verify its length; continue after a lost connection."""
    etag, failures = "", 0
    path.touch()
    while True:
        offset = path.stat().st_size if etag else 0
        ranged = {"Range": f"bytes={offset}-", "If-Range": etag} if offset else {}
        retry_after: float | None = None
        try:
            response = http.send("GET", url, {**headers, **ranged})
            if response.status in (200, 206):
                strong = response.headers.get("etag", "")
                etag = strong if strong.startswith('"') else ""
                _write(response, path, offset if response.status == 206 else 0)
                return
            retry_after = response.retry_after
            error = error_of(response.status, response.json(), retry_after)
            if response.status not in RETRIED:
                raise error
        except LOST as lost:
            if isinstance(lost, OSError) and lost.filename:
                raise  # of the local file
            error = DownloadError(f"{path.name}: the download failed: {lost or type(lost).__name__}.")
        failures += 1
        if failures > http.max_retries:
            raise error
        http.pause(failures, retry_after, error)


def _write(response: Response, path: Path, offset: int) -> None:
    expected = response.headers.get("content-length")
    written = 0
    with response.stream, path.open("r+b") as file:
        file.seek(offset)
        file.truncate()
        while block := response.stream.read(_BLOCK):
            file.write(block)
            written += len(block)
    if expected is not None and written != int(expected):
        raise ConnectionError(f"{written} of {expected} bytes were received")


def stem_links(split: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the split if it has succeeded."""
    if split.get("status") != "succeeded":
        reason = (split.get("error") or {}).get("message") or f"its status is {split.get('status')}"
        raise DownloadError(f"Split {split.get('id')} has no stems: {reason}")
    return split
