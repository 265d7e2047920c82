"""The envelope of every JSON response of ``/v1``."""

import json
from collections.abc import Mapping
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel
from starlette.responses import Response

Data = TypeVar("Data")


class Envelope(BaseModel, Generic[Data]):
    """``{"success": true, "data": …}``: the ``response_model`` of a route that responds with ``Data``."""

    success: Literal[True] = True
    data: Data


class JsonResponse(Response):
    """A response in compact JSON. Printable characters are not escaped; bytes are JSON already."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        if isinstance(content, bytes):
            return content
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        # a lone surrogate cannot be encoded, only escaped
        return text.encode("utf-8", "backslashreplace")


def success(data: BaseModel | Mapping[str, Any], headers: Mapping[str, str] | None = None) -> JsonResponse:
    """Return the response with ``data``, whose fields keep their order."""
    if isinstance(data, BaseModel):
        # several times as fast as a dump to a dict, which the polls need
        text = data.model_dump_json(by_alias=True)
        return JsonResponse(f'{{"success":true,"data":{text}}}'.encode(), headers=headers)
    return JsonResponse({"success": True, "data": data}, headers=headers)


def failure(
    status: int,
    code: str,
    message: str,
    extra: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JsonResponse:
    """Return the response with an error; ``extra`` follows ``code`` and ``message``."""
    error = {"code": code, "message": message, **(extra or {})}
    return JsonResponse({"success": False, "error": error}, status_code=status, headers=headers)
