"""Base classes of what the API reads and writes: camelCase, times in UTC."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, field_validator
from pydantic.alias_generators import to_camel


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


def _is_text(value: Any) -> bool:
    """Whether all strings in ``value`` are such as databases keep and UTF-8 can write."""
    if isinstance(value, str):
        return "\0" not in value and not any("\ud800" <= each <= "\udfff" for each in value)
    if isinstance(value, dict):
        return all(_is_text(key) and _is_text(each) for key, each in value.items())
    return all(map(_is_text, value)) if isinstance(value, list) else True
