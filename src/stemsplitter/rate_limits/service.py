"""Rate limits over a sliding minute, counted for all processes together, and the headers that report them.

The headers are those of https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/ and the older
``X-RateLimit-*``. The count is the sliding window counter of proxies: the requests of the current window, and those of
the window before weighted by the part of it that lies in the last minute. One row and one statement for each caller.
"""

import ipaddress
import json
import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, StaticPool, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from stemsplitter import account_ids
from stemsplitter.database import Database
from stemsplitter.rate_limits.counts import create_table, open_engine, open_file
from stemsplitter.service_errors import RateLimited
from stemsplitter.settings import Settings

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400
_PERIODS = {MINUTE_S: "minute", HOUR_S: "hour", DAY_S: "day"}
_log = logging.getLogger(__name__)
_CLEAN_UP_S = 60

# Adds to the count of each bucket, after its window was moved to the one that :now is in. Requests that were refused
# do not weigh on the next window. Where the clock was set back, the window begins again.
_COUNT = """
INSERT INTO request_counts (bucket, started, used, before, allowed, expires)
SELECT key, :now, CAST({count} AS INTEGER), 0, CAST({limit} AS INTEGER), :now + 2 * :window FROM {each} WHERE true
ON CONFLICT (bucket) DO UPDATE SET
    before = CASE
        WHEN request_counts.started > :now THEN 0
        WHEN request_counts.started > :now - :window THEN request_counts.before
        WHEN request_counts.started <= :now - 2 * :window THEN 0
        WHEN request_counts.used > excluded.allowed THEN excluded.allowed
        ELSE request_counts.used END,
    used = excluded.used
        + CASE WHEN request_counts.started > :now - :window THEN request_counts.used ELSE 0 END,
    started = CASE
        WHEN request_counts.started > :now THEN :now
        WHEN request_counts.started > :now - :window THEN request_counts.started
        WHEN request_counts.started > :now - 2 * :window THEN request_counts.started + :window
        ELSE :now END,
    allowed = excluded.allowed,
    expires = excluded.expires
RETURNING bucket, started, used, before
"""
_COUNT_ON_SQLITE = _COUNT.format(
    count="json_extract(value, '$[0]')", limit="json_extract(value, '$[1]')", each="json_each(:counts)"
)
_COUNT_ON_POSTGRESQL = _COUNT.format(
    count="value ->> 0", limit="value ->> 1", each="json_each(CAST(:counts AS JSON))"
)
_DELETE = "DELETE FROM request_counts WHERE expires <= :now"
# skips rows that another process has locked, as two processes that wait for each other would deadlock
_DELETE_UNLOCKED = (
    "DELETE FROM request_counts WHERE bucket IN "
    "(SELECT bucket FROM request_counts WHERE expires <= :now FOR UPDATE SKIP LOCKED)"
)


@dataclass(frozen=True, slots=True)
class Policy:
    """Maximum number of requests of a kind of a caller in any ``window_s`` seconds."""

    name: str
    limit: int
    window_s: int = MINUTE_S


@dataclass(frozen=True, slots=True)
class Quota:
    """A caller's quota after a request: ``used`` of the policy's limit.

    ``resets_s``: seconds until the current window ends. ``wait_s``: whole seconds until a request is allowed, if this
    one is not.
    """

    policy: Policy
    used: int
    resets_s: float
    wait_s: int

    @property
    def exceeded(self) -> bool:
        """True if the request is over the limit."""
        return self.used > self.policy.limit

    @property
    def message(self) -> str:
        """The error message of a request over the limit."""
        name, limit = self.policy.name, self.policy.limit
        period = _PERIODS[self.policy.window_s]
        return f"Rate limit exceeded: {limit} {name} requests per {period}. Retry in {self.wait_s} s."


@dataclass(frozen=True, slots=True)
class _Count:
    """A caller's requests: ``used`` in the window that began at ``started``, ``before`` in the one before."""

    started: float
    used: int
    before: int

    def quota(self, policy: Policy, at: float, later: int = 0) -> Quota:
        """Return the quota at ``at``, less the ``later`` requests that were counted together with this one."""
        window_s, limit = policy.window_s, policy.limit
        age = min(max(at - self.started, 0.0), window_s)
        used = self.used - later
        if used >= limit:  # until the next window begins
            wait = window_s - age
        elif self.before:
            wait = window_s * (1 - (limit - used) / self.before) - age
        else:
            wait = 0.0
        weighted = used + math.floor(self.before * (1 - age / window_s))
        return Quota(policy, weighted, window_s - age, math.floor(wait) + 1)


def network(address: str) -> str:
    """Return what requests of an address are counted under: the address, or the /64 of one of IPv6."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


def wide_network(address: str) -> str:
    """Return the /24 of an IPv4 address, or the /48 of one of IPv6: what one customer of a provider can have."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return str(ipaddress.ip_network((parsed, 24 if parsed.version == 4 else 48), strict=False))


class RateLimits:
    """Counts requests. A caller that is over its limit is refused for one window at most.

    With SQLite the counts are in a separate file that is not synced, so that polls wait neither for the disk nor for
    other transactions. While that cannot be written, as on a full disk, this process counts in memory. With PostgreSQL
    the counts are in an unlogged table.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self.read = Policy("read", settings.read_limit)
        self.create = Policy("create", settings.create_limit)
        self._cleaned = time.monotonic()
        # one statement at a time: SQLite waits by sleeping, which is not fair
        self._lock = threading.Lock() if database.is_sqlite else None
        if database.is_sqlite:
            self._engine = open_file(settings.data_dir / "rate_limits.db")
            self._memory = open_engine("sqlite://", poolclass=StaticPool)
            create_table(self._memory)
        else:
            self._engine = database.engine
            create_table(self._engine)
        self._own_engine = database.is_sqlite
        self._upsert = text(_COUNT_ON_SQLITE if database.is_sqlite else _COUNT_ON_POSTGRESQL)
        self._delete = text(_DELETE if database.is_sqlite else _DELETE_UNLOCKED)

    def check(self, caller: str, policy: Policy) -> None:
        """Count a request and refuse it if it is over the limit. Takes the arguments of :meth:`count`.

        Raises:
            RateLimited: the caller is over the limit of the policy.
        """
        quota = self.count(caller, policy)
        if quota.exceeded:
            raise RateLimited(quota.message, policy.name, {"retryAfter": quota.wait_s})

    def count(self, caller: str, policy: Policy) -> Quota:
        """Count a request of ``caller``: the id of an account, or what :func:`network` returns for an address.

        A test account counts as its owner.
        """
        at = time.time()
        bucket = _bucket(caller, policy)
        return self._add({bucket: (1, policy.limit)}, policy.window_s, at)[bucket].quota(policy, at)

    def count_all(self, session: Session, requests: Sequence[tuple[str, Policy]]) -> list[Quota]:
        """Count requests, pairs of a caller and a policy of a minute, in their order.

        With PostgreSQL the statement runs in ``session``, which must be in autocommit mode (:meth:`Database.read`).
        """
        at = time.time()
        buckets = [_bucket(caller, policy) for caller, policy in requests]
        left = Counter(buckets)
        limits = {bucket: policy.limit for bucket, (_, policy) in zip(buckets, requests, strict=True)}
        counts = {bucket: (left[bucket], limit) for bucket, limit in limits.items()}
        on = None if self._own_engine else session.connection()
        counted = self._add(counts, MINUTE_S, at, on)
        quotas = []
        for bucket, (_, policy) in zip(buckets, requests, strict=True):
            left[bucket] -= 1  # the requests that come after this one
            quotas.append(counted[bucket].quota(policy, at, left[bucket]))
        return quotas

    def headers(self, quota: Quota) -> dict[str, str]:
        """Return the response headers that report ``quota``."""
        left = max(0, quota.policy.limit - quota.used)
        policies = (self.read, self.create)
        headers = {
            "RateLimit-Policy": ", ".join(
                f'"{each.name}";q={each.limit};w={each.window_s}' for each in policies
            ),
            "RateLimit": f'"{quota.policy.name}";r={left};t={math.ceil(quota.resets_s)}',
            "X-RateLimit-Limit": str(quota.policy.limit),
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
            self._memory.dispose()

    def _add(
        self,
        counts: Mapping[str, tuple[int, int]],
        window_s: int,
        at: float,
        on: Connection | None = None,
    ) -> dict[str, _Count]:
        """Add to the counts of buckets, each with its limit, and return the new count of each."""
        # in a fixed order, so that processes do not deadlock
        values = {"counts": json.dumps(counts, sort_keys=True), "now": at, "window": window_s}
        if self._lock is None:
            with nullcontext(on) if on else self._engine.begin() as connection:
                rows = connection.execute(self._upsert, values).all()
        else:
            with self._lock:
                rows = self._count_on_sqlite(values)
        if time.monotonic() - self._cleaned > _CLEAN_UP_S:
            self._cleaned = time.monotonic()
            self._clean_up(at)
        return {row.bucket: _Count(row.started, row.used, row.before) for row in rows}

    def _count_on_sqlite(self, values: Mapping[str, Any]) -> Sequence[Row[Any]]:
        try:
            with self._engine.begin() as connection:
                return connection.execute(self._upsert, values).all()
        except DBAPIError as error:
            _log.warning("requests are counted in memory, as their file cannot be written: %s", error.orig)
        with self._memory.begin() as connection:
            return connection.execute(self._upsert, values).all()

    def _clean_up(self, at: float) -> None:
        for engine in (self._engine, self._memory) if self._own_engine else (self._engine,):
            with suppress(DBAPIError), self._lock or nullcontext(), engine.begin() as connection:
                connection.execute(self._delete, {"now": at})


def _bucket(caller: str, policy: Policy) -> str:
    return f"{policy.name}:{account_ids.owner(caller)}"[:80]
