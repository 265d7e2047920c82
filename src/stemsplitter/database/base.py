"""Base class, times and identifiers of all tables."""

import secrets
import threading
import time
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, MetaData
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Base(DeclarativeBase):
    """Base class of every table. Constraints have names, so that migrations can change them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time, stored as whole milliseconds since 1970: the same on every database, and sortable."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else round(value.timestamp() * 1000)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.fromtimestamp(value / 1000, UTC)


_moment = 0
_moment_lock = threading.Lock()


def _next_moment() -> int:
    """Return milliseconds since 1970 times 62²; greater than any previous value of this process."""
    global _moment
    with _moment_lock:
        _moment = max(time.time_ns() // 1_000_000 * 62**2, _moment + 1)
        return _moment


def new_id(prefix: str) -> str:
    """Return ``prefix_`` and 22 unguessable letters and digits; the first 10 increase with time.

    So a page of the newest rows is a range of the index, and inserts go to its end. Ids of one process sort in the
    order of their creation, even within a millisecond: pagination relies on it.
    """
    return f"{prefix}_{_letters(_next_moment(), 10)}{_letters(secrets.randbelow(62**12), 12)}"


def _letters(number: int, length: int) -> str:
    """Return a number below 62 to the power of ``length`` in base 62."""
    letters = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        letters.append(_ALPHABET[digit])
    return "".join(reversed(letters))
