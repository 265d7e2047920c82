"""Static files, cached by browsers until they change."""

import hashlib
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from stemsplitter.api.compression import accepts_gzip, compressed
from stemsplitter.languages import LANGUAGES, SOURCE, catalog
from stemsplitter.service_errors import NotFound

_FOLDER = Path(__file__).parent / "static"
_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
_COMPRESSED = (".png", ".woff2")  # by their format
_FILES = {path.name: path.read_bytes() for path in sorted(_FOLDER.iterdir()) if path.suffix in _TYPES} | {
    f"texts.{language}.js": catalog(language).script() for language in LANGUAGES if language != SOURCE
}
# of all files together, so that imports of scripts and style sheets, which are relative, have it too
VERSION = hashlib.sha256(b"".join(_FILES.values())).hexdigest()[:16]

router = APIRouter()


def url(name: str) -> str:
    """Return the URL of a file, with a version that changes with the files. Raises KeyError."""
    if name not in _FILES:
        raise KeyError(name)
    return f"/static/{VERSION}/{name}"


def content(name: str) -> bytes:
    """Return a file. Raises KeyError."""
    return _FILES[name]


@router.get("/static/{version}/{name}")
async def get_version(request: Request, version: str, name: str) -> Response:
    """Return a file. The URL of its current version can be cached forever."""
    return _file(request, name, is_current=version == VERSION)


@router.get("/static/{name}")
async def get(request: Request, name: str) -> Response:
    """Return a file, which the browser revalidates."""
    return _file(request, name, is_current=False)


def _file(request: Request, name: str, *, is_current: bool) -> Response:
    if name not in _FILES:
        raise NotFound("There is no such file.")
    suffix = Path(name).suffix
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable" if is_current else "no-cache",
        "ETag": f'W/"{VERSION}"',
        "Vary": "Accept-Encoding",
    }
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    body = _FILES[name]
    if suffix not in _COMPRESSED and accepts_gzip(request):
        body = _gzipped(name)
        headers["Content-Encoding"] = "gzip"
    return Response(body, media_type=_TYPES[suffix], headers=headers)


@cache
def _gzipped(name: str) -> bytes:
    return compressed(_FILES[name])
