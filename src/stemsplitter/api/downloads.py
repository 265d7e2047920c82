"""Stored files as HTTP answers: whole, or one range (RFC 9110 §14), with conditions; or the way to them in S3."""

import re
from collections.abc import Mapping
from email.utils import format_datetime

from fastapi import Request
from starlette.datastructures import Headers
from starlette.responses import FileResponse, RedirectResponse, Response, StreamingResponse

from stemsplitter.storage.names import content_disposition
from stemsplitter.storage.storage import Storage

_ONE_RANGE = re.compile(rb"bytes=(?:([0-9]{1,18})-([0-9]{1,18})?|-([0-9]{1,18}))")


# a download begins at once, but one that breaks off is gone on with at the address that it was led to
REDIRECT_SECONDS = 3600.0


def download_response(
    request: Request, storage: Storage, key: str, mime: str, filename: str, caching: str
) -> Response:
    """As :func:`file_response`; a file in S3 is fetched from there, where the client is sent. Raises FileMissing."""
    if request.method == "GET" and not storage.is_folder:
        storage.size(key)
        if url := storage.direct_url(key, filename, mime, REDIRECT_SECONDS):
            return RedirectResponse(url, 307, {"Cache-Control": "no-store"})
    return file_response(request, storage, key, mime, filename, caching)


def file_response(
    request: Request, storage: Storage, key: str, mime: str, filename: str, caching: str
) -> Response:
    """The file of ``key``, to be saved as ``filename``; ``caching`` is its Cache-Control.

    From S3 it is passed on, some blocks at a time. Raises FileMissing.
    """
    headers = {
        "Content-Disposition": content_disposition(filename),
        "Cache-Control": caching,
        "X-Content-Type-Options": "nosniff",
    }
    if not storage.is_folder:
        return _passed_on(request, storage, key, mime, headers)
    path, status = storage.path_of(key)
    response = FileResponse(path, headers=headers, media_type=mime, stat_result=status)
    if known := _known_already(request, response.headers):
        return known
    _drop_odd_range(request)
    return response


def _passed_on(
    request: Request, storage: Storage, key: str, mime: str, headers: Mapping[str, str]
) -> Response:
    stored = storage.look(key)
    size, modified = stored.size, format_datetime(stored.modified, usegmt=True)
    described = {**headers, "Accept-Ranges": "bytes", "ETag": stored.etag, "Last-Modified": modified}
    if known := _known_already(request, Headers(described)):
        return known
    is_same = request.headers.get("if-range", stored.etag) in (stored.etag, modified)
    found = _valid_range(request) if is_same else None
    start, end = _range(found, size)
    is_part = found is not None
    if is_part and start >= size:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
    described["Content-Length"] = str(end - start)
    if is_part:
        described["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    body = storage.read(key, start, end) if request.method != "HEAD" else iter(())
    return StreamingResponse(body, 206 if is_part else 200, described, mime)


def _known_already(request: Request, headers: Headers) -> Response | None:
    """The answer to a client that has this version."""
    if not _names(request.headers.get("if-none-match", ""), headers["etag"]):
        return None
    kept = ("etag", "last-modified", "cache-control")
    return Response(status_code=304, headers={name: headers[name] for name in kept})


def _names(if_none_match: str, etag: str) -> bool:
    """Whether the client has this version (RFC 9110 §13.1.2: weakly compared)."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in tags or tags == ["*"]


def _range(found: re.Match[bytes] | None, size: int) -> tuple[int, int]:
    """From where, and up to where without it, the client wants the file."""
    if found is None:
        return 0, size
    first, last, suffix = (None if group is None else int(group) for group in found.groups())
    if first is None:
        return max(size - (suffix or 0), 0), size
    return first, size if last is None else min(last + 1, size)


def _drop_odd_range(request: Request) -> None:
    """Forget a Range header that is not one valid range: then the whole file is the right answer.

    Starlette would refuse some with 400, and answer several with ``multipart/byteranges``, which clients rarely read.
    """
    if _valid_range(request) is None:
        request.scope["headers"] = [pair for pair in request.scope["headers"] if pair[0] != b"range"]


def _valid_range(request: Request) -> re.Match[bytes] | None:
    value = request.headers.get("range", "").replace(" ", "").encode("latin-1").lower()
    found = _ONE_RANGE.fullmatch(value)
    return None if found and found[2] and int(found[1]) > int(found[2]) else found
