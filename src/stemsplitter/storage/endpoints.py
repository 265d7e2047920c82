"""Downloads of stored files through signed links."""

import re
import time

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, Response

from stemsplitter.api.dependencies import ApplicationDep
from stemsplitter.service_errors import NotFound
from stemsplitter.storage.errors import FileMissing
from stemsplitter.storage.names import content_disposition

router = APIRouter()

_ONE_RANGE = re.compile(rb"bytes=(?:([0-9]{1,18})-([0-9]{1,18})?|-[0-9]{1,18})")


@router.api_route("/files/{token}/{name}", methods=["GET", "HEAD"], include_in_schema=False)
def download(token: str, name: str, request: Request, application: ApplicationDep) -> Response:
    """The file of a signed link: whole, or one range of it (RFC 9110 §14)."""
    storage = application.storage
    link = storage.links.open(token, name)
    try:
        path, status = storage.path_of(link.key)
    except FileMissing as error:
        raise NotFound("This file was deleted: its split is older than the server keeps them.") from error
    headers = {
        "Content-Disposition": content_disposition(name),
        "Cache-Control": f"private, max-age={max(link.expires - int(time.time()), 0)}",
        "X-Content-Type-Options": "nosniff",
    }
    response = FileResponse(path, headers=headers, media_type=link.mime, stat_result=status)
    if _names(request.headers.get("if-none-match", ""), response.headers["etag"]):
        kept = ("etag", "last-modified", "cache-control")
        return Response(status_code=304, headers={name: response.headers[name] for name in kept})
    _drop_odd_range(request)
    return response


def _names(if_none_match: str, etag: str) -> bool:
    """Whether the client has this version (RFC 9110 §13.1.2: weakly compared)."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in tags or tags == ["*"]


def _drop_odd_range(request: Request) -> None:
    """Forget a Range header that is not one valid range: then the whole file is the right answer.

    Starlette would refuse some with 400, and answer several with ``multipart/byteranges``, which clients rarely read.
    """
    value = request.headers.get("range", "").replace(" ", "").encode("latin-1").lower()
    found = _ONE_RANGE.fullmatch(value)
    valid = found and not (found[2] and int(found[1]) > int(found[2]))
    if not valid:
        request.scope["headers"] = [pair for pair in request.scope["headers"] if pair[0] != b"range"]
