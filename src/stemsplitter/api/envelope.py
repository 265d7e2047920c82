"""The envelope round every JSON answer of ``/v1``."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, field_validator
from pydantic.alias_generators import to_camel
from starlette.responses import Response

Data = TypeVar("Data")


def format_time(at: datetime) -> str:
    """``2026-05-03T10:20:30.000Z``: UTC, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Time = Annotated[
    datetime, PlainSerializer(format_time, return_type=str), Field(examples=["2026-05-03T10:20:30.000Z"])
]


class CamelModel(BaseModel):
    """A body in camelCase."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class RequestModel(CamelModel):
    """The body of a request. What it holds beyond its fields is ignored, as clients add to it freely."""

    @field_validator("*", mode="after")
    @classmethod
    def _check_text(cls, value: Any) -> Any:
        if not _is_text(value):
            raise ValueError("holds a NUL character or half of a surrogate pair")
        return value


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


def _is_text(value: Any) -> bool:
    """Whether all strings in ``value`` are such as databases keep and UTF-8 can write."""
    if isinstance(value, str):
        return "\0" not in value and not any("\ud800" <= each <= "\udfff" for each in value)
    if isinstance(value, dict):
        return all(_is_text(key) and _is_text(each) for key, each in value.items())
    return all(map(_is_text, value)) if isinstance(value, list) else True
