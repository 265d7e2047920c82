"""The wall clock."""

import time
from datetime import UTC, datetime


def now() -> datetime:
    """Return the current time in UTC, to the millisecond."""
    return datetime.fromtimestamp(time.time_ns() // 1_000_000 / 1000, UTC)
