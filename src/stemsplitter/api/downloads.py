"""Responses with stored files: whole or one range (RFC 9110 §14), conditional requests, redirects to S3."""

import re
from collections.abc import Mapping
from email.utils import format_datetime

from fastapi import Request
from starlette.datastructures import Headers
from starlette.responses import FileResponse, RedirectResponse, Response, StreamingResponse

from stemsplitter.storage.names import content_disposition
from stemsplitter.storage.storage import Storage

_ONE_RANGE = re.compile(rb"bytes=(?:([0-9]{1,18})-([0-9]{1,18})?|-([0-9]{1,18}))")

# for files of an account: a browser keeps them, and asks each time whether they are current
PRIVATE = "private, no-cache"

# a client resumes an interrupted download at the URL of the redirect
REDIRECT_SECONDS = 3600.0


def download_response(
    request: Request, storage: Storage, key: str, mime: str, filename: str, caching: str
) -> Response:
    """Return a redirect to a file in S3, else :func:`file_response`. Raises FileMissing."""
    if request.method == "GET" and not storage.is_folder:
        storage.size(key)
        if url := storage.direct_url(key, filename, mime, REDIRECT_SECONDS):
            return RedirectResponse(url, 307, {"Cache-Control": "no-store"})
    return file_response(request, storage, key, mime, filename, caching)


def file_response(
    request: Request, storage: Storage, key: str, mime: str, filename: str, caching: str
) -> Response:
    """Return the file of ``key``, to be saved as ``filename``, with the Cache-Control ``caching``.

    A file in S3 is streamed through this server.

    Raises:
        FileMissing: there is no such file.
    """
    headers = {
        "Content-Disposition": content_disposition(filename),
        "Cache-Control": caching,
        "X-Content-Type-Options": "nosniff",
    }
    if not storage.is_folder:
        return _streamed(request, storage, key, mime, headers)
    path, status = storage.path_of(key)
    response = FileResponse(path, headers=headers, media_type=mime, stat_result=status)
    if not_modified := _not_modified(request, response.headers):
        return not_modified
    _drop_invalid_range(request)
    return response


def _streamed(
    request: Request, storage: Storage, key: str, mime: str, headers: Mapping[str, str]
) -> Response:
    stored = storage.look(key)
    size, modified = stored.size, format_datetime(stored.modified, usegmt=True)
    described = {**headers, "Accept-Ranges": "bytes", "ETag": stored.etag, "Last-Modified": modified}
    if not_modified := _not_modified(request, Headers(described)):
        return not_modified
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


def _not_modified(request: Request, headers: Headers) -> Response | None:
    """Return a 304 if the client has this version of the file."""
    if not _matches(request.headers.get("if-none-match", ""), headers["etag"]):
        return None
    repeated = ("etag", "last-modified", "cache-control")
    return Response(status_code=304, headers={name: headers[name] for name in repeated})


def _matches(if_none_match: str, etag: str) -> bool:
    """Compare tags weakly (RFC 9110 §13.1.2)."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in tags or tags == ["*"]


def _range(found: re.Match[bytes] | None, size: int) -> tuple[int, int]:
    """Return the first byte of the range and the one after its last."""
    if found is None:
        return 0, size
    first, last, suffix = (None if group is None else int(group) for group in found.groups())
    if first is None:
        return max(size - (suffix or 0), 0), size
    return first, size if last is None else min(last + 1, size)


def _drop_invalid_range(request: Request) -> None:
    """Remove a Range header that is not one valid range, so that the response is the whole file.

    Starlette refuses some of them with 400, and responds to several ranges with ``multipart/byteranges``, which few
    clients can read.
    """
    if _valid_range(request) is None:
        request.scope["headers"] = [pair for pair in request.scope["headers"] if pair[0] != b"range"]


def _valid_range(request: Request) -> re.Match[bytes] | None:
    value = request.headers.get("range", "").replace(" ", "").encode("latin-1").lower()
    found = _ONE_RANGE.fullmatch(value)
    return None if found and found[2] and int(found[1]) > int(found[2]) else found
