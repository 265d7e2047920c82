"""What all tables share: their base class, times, and identifiers."""

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
    """Base of every table. Constraints are named, so that migrations can change them."""

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
    """An aware UTC time, kept as whole milliseconds since 1970: the same on every database, and sortable."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else round(value.timestamp() * 1000)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.fromtimestamp(value / 1000, UTC)


_moment = 0
_moment_lock = threading.Lock()


def _next_moment() -> int:
    """Milliseconds since 1970 times 62²; larger than any that this process was given before."""
    global _moment
    with _moment_lock:
        _moment = max(time.time_ns() // 1_000_000 * 62**2, _moment + 1)
        return _moment


def new_id(prefix: str) -> str:
    """``prefix_`` and 22 letters and digits that nobody can guess; the first 10 rise with time.

    So that a page of newest rows is a range of the index, and inserts go to its end. The ids that one process
    makes sort in the order in which they were made, in the same millisecond too: pages are cut by them.
    """
    return f"{prefix}_{_letters(_next_moment(), 10)}{_letters(secrets.randbelow(62**12), 12)}"


def _letters(number: int, length: int) -> str:
    """A number below 62 to the power of ``length``, to the base of 62."""
    letters = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        letters.append(_ALPHABET[digit])
    return "".join(reversed(letters))
