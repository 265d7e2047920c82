"""Rate limits in fixed windows of a minute, counted for all processes together, and the headers that report them.

The headers are those of https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/ and the older
``X-RateLimit-*``. A window is one row, its start and its count, which one statement changes.
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
from stemsplitter.service_errors import RateLimited
from stemsplitter.settings import Settings

WINDOW_S = 60

_CREATE_TABLE = """
CREATE {unlogged} TABLE IF NOT EXISTS rate_limits (
    bucket VARCHAR(80) PRIMARY KEY, started DOUBLE PRECISION NOT NULL, used INTEGER NOT NULL
)
"""
# adds to the count of each bucket
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
_DELETE = "DELETE FROM rate_limits WHERE started <= :over"
# skips rows that another process has locked, as two processes that wait for each other would deadlock
_DELETE_UNLOCKED = (
    "DELETE FROM rate_limits WHERE bucket IN "
    "(SELECT bucket FROM rate_limits WHERE started <= :over FOR UPDATE SKIP LOCKED)"
)
_LOCK = 0x52415445  # "RATE"


@dataclass(frozen=True, slots=True)
class Quota:
    """A caller's quota after a request: ``used`` of ``limit``. The window ends in ``resets_s`` seconds."""

    policy: str
    limit: int
    used: int
    resets_s: float

    @property
    def exceeded(self) -> bool:
        """True if the request is over the limit."""
        return self.used > self.limit

    @property
    def wait_s(self) -> int:
        """Whole seconds until the window ends, at least 1."""
        return max(1, math.ceil(self.resets_s))

    @property
    def message(self) -> str:
        """The error message of a request over the limit."""
        return (
            f"Rate limit exceeded: {self.limit} {self.policy} requests per minute. Retry in {self.wait_s} s."
        )


class RateLimits:
    """Counts requests in windows of :data:`WINDOW_S` seconds. A window begins with a caller's first request.

    With SQLite the counts are in a separate file that is not synced, so that polls wait neither for the disk nor for
    other transactions. With PostgreSQL they are in an unlogged table.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self.limits = {"read": settings.read_limit, "create": settings.create_limit}
        self._cleaned = time.monotonic()
        # one statement at a time: SQLite waits by sleeping, which is not fair
        self._lock = threading.Lock() if database.is_sqlite else None
        if database.is_sqlite:
            self._engine = _open(f"sqlite:///{settings.data_dir / 'rate_limits.db'}")
        else:
            self._engine = database.engine
        self._own_engine = database.is_sqlite
        self._upsert = text(_COUNT_ON_SQLITE if database.is_sqlite else _COUNT_ON_POSTGRESQL)
        self._delete = text(_DELETE if database.is_sqlite else _DELETE_UNLOCKED)
        with self._engine.begin() as connection:
            # concurrent CREATE TABLE IF NOT EXISTS can fail on PostgreSQL
            one_at_a_time(connection, _LOCK)
            connection.exec_driver_sql(
                _CREATE_TABLE.format(unlogged="" if database.is_sqlite else "UNLOGGED")
            )

    def check(self, caller: str, policy: str, limit: int | None = None) -> None:
        """Count a request and refuse it if it is over the limit. Takes the arguments of :meth:`count`.

        Raises:
            RateLimited: the caller is over the limit of the policy.
        """
        quota = self.count(caller, policy, limit)
        if quota.exceeded:
            raise RateLimited(quota.message, details={"retryAfter": quota.wait_s})

    def count(self, caller: str, policy: str, limit: int | None = None) -> Quota:
        """Count a request.

        Args:
            caller: the id of a key or an account, or an address.
            policy: ``read`` or ``create``, whose limits are settings, or a policy with its own ``limit``.
        """
        at = time.time()
        bucket = _bucket(caller, policy)
        started, used = self._add({bucket: 1}, at)[bucket]
        limit = self.limits[policy] if limit is None else limit
        return Quota(policy, limit, used, max(0.0, started + WINDOW_S - at))

    def count_all(self, session: Session, requests: Sequence[tuple[str, str]]) -> list[Quota]:
        """Count requests, pairs of a caller and ``read`` or ``create``, in their order.

        With PostgreSQL the statement runs in ``session``, which must be in autocommit mode (:meth:`Database.read`).
        """
        at = time.time()
        buckets = [_bucket(caller, policy) for caller, policy in requests]
        left = Counter(buckets)
        counted = self._add(left, at, None if self._own_engine else session.connection())
        quotas = []
        for bucket, (_, policy) in zip(buckets, requests, strict=True):
            started, used = counted[bucket]
            left[bucket] -= 1  # the requests that come after this one
            resets_s = max(0.0, started + WINDOW_S - at)
            quotas.append(Quota(policy, self.limits[policy], used - left[bucket], resets_s))
        return quotas

    def headers(self, quota: Quota) -> dict[str, str]:
        """Return the response headers that report ``quota``."""
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
        """Close the database of the counts, if it is a separate one."""
        if self._own_engine:
            self._engine.dispose()

    def _add(
        self, counts: Mapping[str, int], at: float, on: Connection | None = None
    ) -> dict[str, tuple[float, int]]:
        """Add to the counts of buckets and return the start and the new count of each."""
        over = at - WINDOW_S
        # in a fixed order, so that processes do not deadlock
        values = {"counts": json.dumps(counts, sort_keys=True), "now": at, "over": over}
        with self._lock or nullcontext(), nullcontext(on) if on else self._engine.begin() as connection:
            rows = connection.execute(self._upsert, values).all()
        if time.monotonic() - self._cleaned > WINDOW_S:
            self._cleaned = time.monotonic()
            with self._lock or nullcontext(), self._engine.begin() as connection:
                connection.execute(self._delete, {"over": over})
        return {row.bucket: (row.started, row.used) for row in rows}


def _bucket(caller: str, policy: str) -> str:
    return f"{policy}:{caller}"[:80]


def _open(url: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # autocommit
        cursor = connection.cursor()
        write_ahead(cursor)
        cursor.execute("PRAGMA synchronous=OFF")
        cursor.close()

    return engine
