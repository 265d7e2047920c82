"""Downloads of stored files through signed links."""

import time

from fastapi import APIRouter, Request
from starlette.responses import Response

from stemsplitter.api.dependencies import ServicesDep
from stemsplitter.api.downloads import download_response
from stemsplitter.service_errors import NotFound
from stemsplitter.storage.errors import FileMissing

router = APIRouter()


@router.api_route("/files/{token}/{name}", methods=["GET", "HEAD"], include_in_schema=False)
def download(token: str, name: str, request: Request, services: ServicesDep) -> Response:
    """Download the file of a signed link: whole or one range (RFC 9110 §14); from S3 by a redirect."""
    storage = services.storage
    link = storage.links.open(token, name)
    caching = f"private, max-age={max(link.expires - int(time.time()), 0)}"
    try:
        return download_response(request, storage, link.key, link.mime, name, caching)
    except FileMissing as error:
        raise NotFound("The file was deleted: its split has expired.") from error
