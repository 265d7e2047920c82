"""Downloads of files: complete or not at all."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from .errors import ConnectionFailed, DownloadError, WaitTimeout
from .transport import Http, Response

_BLOCK = 1 << 16
_MAX_HOPS = 5
_SUFFIX = re.compile(r"\.([a-z0-9]{2,5})(?:\?.*)?$")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def download_files(http: Http, links: Mapping[str, str], folder: Path) -> dict[str, Path]:
    """Download links into files of a folder, named by their keys. All files appear together, when all are complete."""
    found = {}
    for name, url in links.items():
        if not _NAME.fullmatch(name):
            raise DownloadError(f"{name!r} is not a file name.")
        suffix = _SUFFIX.search(url)
        found[name] = folder / f"{name}.{suffix[1] if suffix else 'audio'}"
    with _hidden(folder) as hidden:
        for name, url in links.items():
            _download(http, url, {}, hidden / name, 0)
        for name, path in found.items():
            (hidden / name).replace(path)
    return found


def download_file(http: Http, url: str, headers: Mapping[str, str], path: Path, timeout: float) -> Path:
    """Download a file, which appears when it is complete.

    Raises:
        WaitTimeout: the server was still making it after ``timeout`` seconds.
    """
    with _hidden(path.parent) as hidden:
        _download(http, url, headers, hidden / path.name, timeout)
        (hidden / path.name).replace(path)
    return path


@contextmanager
def _hidden(folder: Path) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    hidden = Path(tempfile.mkdtemp(prefix=".stems-", dir=folder))
    try:
        yield hidden
    finally:
        shutil.rmtree(hidden)


def _download(http: Http, url: str, headers: Mapping[str, str], path: Path, timeout: float) -> None:
    """Download into a file and verify its length; continue after a lost connection."""
    deadline = time.monotonic() + timeout
    etag = ""
    path.touch()

    def ranged() -> dict[str, str]:
        offset = path.stat().st_size if etag else 0
        return {**headers, **({"Range": f"bytes={offset}-", "If-Range": etag} if offset else {})}

    def read(response: Response) -> Response:
        nonlocal etag
        if response.status in (200, 206):
            strong = response.headers.get("etag", "")
            etag = strong if strong.startswith('"') else ""
            _write(response, path)
        response.stream.close()
        return response

    hops = 0
    while True:
        try:
            response = http.request("GET", url, ranged, read=read)
        except ConnectionFailed as error:
            raise DownloadError(f"{path.name} was not received completely: {error.message}") from error
        if response.status >= 300:
            hops += 1
            if hops > _MAX_HOPS or "location" not in response.headers:
                raise DownloadError(f"{path.name} was not received: status {response.status}.")
            url, headers = response.headers["location"], {}
        elif response.status != 202:
            return
        elif time.monotonic() >= deadline:
            raise WaitTimeout(f"Timed out waiting for {path.name}.")
        else:
            http.sleep(response.retry_after or 1)


def _write(response: Response, path: Path) -> None:
    expected = response.headers.get("content-length")
    written = 0
    with path.open("ab") as file:
        if response.status == 200:
            file.truncate(0)
        while block := response.stream.read(_BLOCK):
            file.write(block)
            written += len(block)
    if expected is not None and written != int(expected):
        raise ConnectionError(f"{written} of {expected} bytes were received")
