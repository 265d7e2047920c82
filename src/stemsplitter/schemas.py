"""Base classes of the JSON that the API reads and writes: camelCase names, times in UTC."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    Strict,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from stemsplitter.spelling import nearest, shown

UNKNOWN_FIELD = "unknown_field"


def format_time(at: datetime) -> str:
    """Format a time as ``2026-05-03T10:20:30.000Z``: in UTC, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Time = Annotated[
    datetime, PlainSerializer(format_time, return_type=str), Field(examples=["2026-05-03T10:20:30.000Z"])
]


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticCustomError("int_type", "Input should be a valid integer")
    return value


# numbers in a body; Pydantic takes true for 1
Integer = Annotated[int, BeforeValidator(_no_boolean)]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]


class CamelModel(BaseModel):
    """A JSON object with names in camelCase."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class RequestModel(CamelModel):
    """The body of a request. Unknown fields are errors, because a misspelt option would be ignored and charged."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _check_names(cls, body: Any) -> Any:
        known = [field.alias or name for name, field in cls.model_fields.items()]
        for name in body if isinstance(body, dict) else ():
            if name not in known and name not in cls.model_fields:
                match = nearest(name, known)
                rest = (
                    f"did you mean {match}?"
                    if match
                    else f"send only {', '.join(known) or 'an empty object'}."
                )
                message = "Unknown field {field}: {rest}"
                raise PydanticCustomError(UNKNOWN_FIELD, message, {"field": shown(name), "rest": rest})
        return body

    @field_validator("*", mode="after")
    @classmethod
    def _check_text(cls, value: Any) -> Any:
        if not _is_text(value):
            raise ValueError("contains a NUL character or a lone surrogate")
        return value


def _is_text(value: Any) -> bool:
    """True if databases can store all strings in ``value`` and UTF-8 can encode them."""
    if isinstance(value, str):
        return "\0" not in value and not any("\ud800" <= each <= "\udfff" for each in value)
    if isinstance(value, dict):
        return all(_is_text(key) and _is_text(each) for key, each in value.items())
    return all(map(_is_text, value)) if isinstance(value, list) else True
