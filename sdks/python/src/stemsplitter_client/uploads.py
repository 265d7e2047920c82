"""Uploads in chunks, which continue after a lost connection."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from .errors import StemSplitterError
from .transport import LOST, RETRIED, Http, Response, lost_error

CHUNK_BYTES = 8 << 20
MAX_RETRIES = 10  # without progress: the server needs up to a minute to detect that a connection was lost
_TEMPORARY = {"UPLOAD_INCOMPLETE", "UPLOAD_IN_PROGRESS", "UPLOAD_OFFSET_MISMATCH"}
_TYPES = {
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".wav": "audio/wav",
}

Progress = Callable[[int, int], None]


def content_type_of(name: str) -> str:
    """Return the media type of a file, from its name."""
    suffix = Path(name).suffix.lower()
    return _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"


def send_file(
    http: Http,
    reservation: Mapping[str, Any],
    file: BinaryIO,
    size: int,
    chunk_bytes: int = CHUNK_BYTES,
    on_progress: Progress | None = None,
) -> dict[str, str]:
    """Send a file to a reserved upload. Returns ``url`` and ``key``.

    Args:
        reservation: the response to ``create_upload``.
        on_progress: called with the bytes sent and ``size`` after each chunk.
    """
    url, token = reservation["uploadUrl"], reservation["uploadHeaders"]["X-Upload-Token"]
    offset, failures = 0, 0
    while True:
        file.seek(offset)
        chunk = file.read(chunk_bytes)
        end = offset + len(chunk)
        if end < size and not chunk:
            raise StemSplitterError("The file became shorter while it was sent.", 0, "UPLOAD_ERROR")
        headers = {
            "X-Upload-Token": token,
            "Content-Type": "application/partial-upload",
            "Upload-Offset": str(offset),
            "Upload-Complete": f"?{int(end >= size)}",
        }
        try:
            response = http.send("PATCH", url, headers, chunk)
            if response.status < 300:
                body = response.json()
                failures, offset = 0, end
                if on_progress:
                    on_progress(end, size)
                if end < size:
                    continue
                return {"url": body["data"]["url"], "key": body["data"]["key"]}
            error = response.error()
            if response.status not in RETRIED and error.code not in _TEMPORARY:
                raise error
        except LOST as lost:
            error = lost_error("The upload", lost)
        failures += 1
        if failures > MAX_RETRIES:
            raise error
        if error.code != "UPLOAD_OFFSET_MISMATCH":
            http.pause(failures, error)
        stored: int = http.request("HEAD", url, lambda: {"X-Upload-Token": token}, read=_offset_of)
        failures = 0 if stored > offset else failures
        offset = stored


def _offset_of(response: Response) -> int:
    return int(response.headers["upload-offset"])
