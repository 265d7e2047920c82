"""The envelope round every JSON answer of ``/v1``."""

import json
from collections.abc import Mapping
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel
from starlette.responses import Response

Data = TypeVar("Data")


class Envelope(BaseModel, Generic[Data]):
    """``{"success": true, "data": …}``: the ``response_model`` of an endpoint that answers with ``Data``."""

    success: Literal[True] = True
    data: Data


class JsonResponse(Response):
    """JSON in UTF-8, written raw: no escapes of printable characters, no spaces."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        # half of a surrogate pair is no character; JSON can only escape it
        return text.encode("utf-8", "backslashreplace")


def success(data: BaseModel | Mapping[str, Any], headers: Mapping[str, str] | None = None) -> JsonResponse:
    """The answer that ``data`` is, its fields in the order they have there."""
    if isinstance(data, BaseModel):
        data = data.model_dump(mode="json", by_alias=True)
    return JsonResponse({"success": True, "data": data}, headers=headers)


def success_of_ours(data: BaseModel) -> Response:
    """As :func:`success`, for the polls: quicker, of ``data`` whose texts UTF-8 can all write."""
    text = data.model_dump_json(by_alias=True)
    return Response(f'{{"success":true,"data":{text}}}', media_type=JsonResponse.media_type)


def failure(
    status: int,
    code: str,
    message: str,
    extra: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JsonResponse:
    """The answer that an error is; ``extra`` stands after ``code`` and ``message``."""
    error = {"code": code, "message": message, **(extra or {})}
    return JsonResponse({"success": False, "error": error}, status_code=status, headers=headers)
