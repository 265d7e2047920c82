"""Requests a minute, counted for all processes together, and the headers that tell of them.

The headers are those of https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/ and the older
``X-RateLimit-*``. A library would keep a row for every request and a table for every key; a count and the
time it began are enough, and one statement changes both.
"""

import json
import math
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.orm import Session

from stemsplitter.database import Database, one_at_a_time
from stemsplitter.database.engine import write_ahead
from stemsplitter.settings import Settings

WINDOW_S = 60

_CREATE_TABLE = """
CREATE {unlogged} TABLE IF NOT EXISTS rate_limits (
    bucket VARCHAR(80) PRIMARY KEY, started DOUBLE PRECISION NOT NULL, used INTEGER NOT NULL
)
"""
# each bucket's number is added to its count
_COUNT = """
INSERT INTO rate_limits (bucket, started, used)
SELECT key, :now, CAST(value AS INTEGER) FROM {each}(CAST(:counts AS {json})) WHERE true
ON CONFLICT (bucket) DO UPDATE SET
    used = CASE WHEN rate_limits.started <= :over THEN excluded.used ELSE rate_limits.used + excluded.used END,
    started = CASE WHEN rate_limits.started <= :over THEN :now ELSE rate_limits.started END
RETURNING bucket, started, used
"""
_COUNT_ON_SQLITE = _COUNT.format(each="json_each", json="TEXT")
_COUNT_ON_POSTGRESQL = _COUNT.format(each="json_each_text", json="JSON")
_FORGET = "DELETE FROM rate_limits WHERE started <= :over"
# rows that another process counts in, or deletes, are left to it: two that wait for each other's rows never end
_FORGET_UNLOCKED = (
    "DELETE FROM rate_limits WHERE bucket IN "
    "(SELECT bucket FROM rate_limits WHERE started <= :over FOR UPDATE SKIP LOCKED)"
)
_LOCK = 0x52415445  # "RATE": any number that all processes agree on


@dataclass(frozen=True, slots=True)
class Quota:
    """What is left of a caller's requests after this one: ``used`` of ``limit``, anew after ``resets_s``."""

    policy: str
    limit: int
    used: int
    resets_s: float

    @property
    def exceeded(self) -> bool:
        """Whether this request was one too many."""
        return self.used > self.limit

    @property
    def wait_s(self) -> int:
        """Whole seconds until requests are taken again, 1 at least."""
        return max(1, math.ceil(self.resets_s))


class RateLimits:
    """Counts requests in windows of :data:`WINDOW_S` seconds that begin with a caller's first request.

    On SQLite the counts have a file of their own, which is not synced: a poll must neither wait for the disk nor for a
    transaction of the ledger. On PostgreSQL they are an unlogged table.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self.limits = {"read": settings.read_limit, "create": settings.create_limit}
        self._tidied = time.monotonic()
        # one statement at a time: SQLite's own waiting is by sleeping, and not fair
        self._turn = threading.Lock() if database.is_sqlite else None
        if database.is_sqlite:
            self._engine = _open(f"sqlite:///{settings.data_dir / 'rate_limits.db'}")
        else:
            self._engine = database.engine
        self._own_engine = database.is_sqlite
        self._add = text(_COUNT_ON_SQLITE if database.is_sqlite else _COUNT_ON_POSTGRESQL)
        self._forget = text(_FORGET if database.is_sqlite else _FORGET_UNLOCKED)
        with self._engine.begin() as connection:
            # two that make a table at once fail on PostgreSQL, though they ask whether it is there
            one_at_a_time(connection, _LOCK)
            connection.exec_driver_sql(
                _CREATE_TABLE.format(unlogged="" if database.is_sqlite else "UNLOGGED")
            )

    def take(self, caller: str, policy: str, limit: int | None = None) -> Quota:
        """Count a request of ``caller`` (a key's id or an address) under ``policy``: ``read`` or ``create``.

        Any other policy brings its own ``limit``.
        """
        at = time.time()
        bucket = _bucket(caller, policy)
        started, used = self._count({bucket: 1}, at)[bucket]
        return Quota(
            policy, self.limits[policy] if limit is None else limit, used, max(0.0, started + WINDOW_S - at)
        )

    def take_all(self, session: Session, requests: Sequence[tuple[str, str]]) -> list[Quota]:
        """Count requests, each of a caller under ``read`` or ``create``, one after the other; where the counts are in
        the same database, by the session, whose every statement is to be a transaction."""
        at = time.time()
        buckets = [_bucket(caller, policy) for caller, policy in requests]
        left = Counter(buckets)
        counted = self._count(left, at, None if self._own_engine else session.connection())
        quotas = []
        for bucket, (_, policy) in zip(buckets, requests, strict=True):
            started, used = counted[bucket]
            left[bucket] -= 1  # so many come after this one
            resets_s = max(0.0, started + WINDOW_S - at)
            quotas.append(Quota(policy, self.limits[policy], used - left[bucket], resets_s))
        return quotas

    def headers(self, quota: Quota) -> dict[str, str]:
        """The headers of the answer to the request that ``quota`` counted."""
        left = max(0, quota.limit - quota.used)
        headers = {
            "RateLimit-Policy": ", ".join(f'"{name}";q={q};w={WINDOW_S}' for name, q in self.limits.items()),
            "RateLimit": f'"{quota.policy}";r={left};t={math.ceil(quota.resets_s)}',
            "X-RateLimit-Limit": str(quota.limit),
            "X-RateLimit-Remaining": str(left),
            "X-RateLimit-Reset": str(math.ceil(time.time() + quota.resets_s)),
        }
        if quota.exceeded:
            headers["Retry-After"] = str(quota.wait_s)
        return headers

    def close(self) -> None:
        """Close the file of counts."""
        if self._own_engine:
            self._engine.dispose()

    def _count(
        self, counts: Mapping[str, int], at: float, on: Connection | None = None
    ) -> dict[str, tuple[float, int]]:
        """Add to the buckets' counts: since when each counts, and its count then."""
        over = at - WINDOW_S
        # in one order, so that no two processes wait for each other's rows
        values = {"counts": json.dumps(counts, sort_keys=True), "now": at, "over": over}
        with self._turn or nullcontext(), nullcontext(on) if on else self._engine.begin() as connection:
            rows = connection.execute(self._add, values).all()
        if time.monotonic() - self._tidied > WINDOW_S:
            self._tidied = time.monotonic()
            with self._turn or nullcontext(), self._engine.begin() as connection:
                connection.execute(self._forget, {"over": over})
        return {row.bucket: (row.started, row.used) for row in rows}


def _bucket(caller: str, policy: str) -> str:
    return f"{policy}:{caller}"[:80]


def _open(url: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # every statement is a transaction
        cursor = connection.cursor()
        write_ahead(cursor)
        cursor.execute("PRAGMA synchronous=OFF")
        cursor.close()

    return engine
