"""Static files, cached by browsers until they change."""

import hashlib
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from stemsplitter.service_errors import NotFound

_FOLDER = Path(__file__).parent / "static"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FILES = {path.name: path.read_bytes() for path in _FOLDER.iterdir() if path.suffix in _TYPES}
_VERSIONS = {name: hashlib.sha256(data).hexdigest()[:16] for name, data in _FILES.items()}

router = APIRouter()


def url(name: str) -> str:
    """Return the URL of a file, with a version that changes with its content. Raises KeyError."""
    return f"/static/{name}?v={_VERSIONS[name]}"


@router.get("/static/{name}")
async def get(request: Request, name: str, v: str = "") -> Response:
    """Return a file. The URL of its current version can be cached forever."""
    if name not in _FILES:
        raise NotFound("There is no such file.")
    version = _VERSIONS[name]
    caching = "public, max-age=31536000, immutable" if v == version else "no-cache"
    headers = {"Cache-Control": caching, "ETag": f'"{version}"'}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(_FILES[name], media_type=_TYPES[Path(name).suffix], headers=headers)
