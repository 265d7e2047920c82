"""Compression of responses with gzip."""

import gzip

from fastapi import Request
from starlette.responses import Response

_LEVEL = 6
_SMALLEST = 1000  # bytes; smaller bodies do not get smaller


def accepts_gzip(request: Request) -> bool:
    """Return true if the client decodes gzip."""
    return "gzip" in request.headers.get("accept-encoding", "")


def compressed(body: bytes) -> bytes:
    """Compress ``body``; equal bodies give equal results."""
    return gzip.compress(body, _LEVEL, mtime=0)


def compress(request: Request, response: Response) -> Response:
    """Compress the body of ``response`` if the client accepts it.

    Not for bodies that contain both a secret and input of others: the compressed length discloses the secret (BREACH).
    """
    response.headers.add_vary_header("Accept-Encoding")
    body = bytes(response.body)
    if len(body) >= _SMALLEST and accepts_gzip(request):
        response.body = compressed(body)
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Content-Length"] = str(len(response.body))
    return response
