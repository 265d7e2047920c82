"""Counts of what this process has refused, by the limit that was reached."""

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Final

LIMITS: Final = (
    "read", "create", "sign-in", "sign-in to one account", "sign-in from new browsers", "sign-up",
    "sign-up from one network", "purchase", "webhook", "queued splits", "queued files", "measuring", "files", "links",
    "bytes", "free space", "event streams", "uploads", "API keys", "password reset", "password reset of one account",
    "verification link", "verification link of one account", "account export", "download of several splits",
    "shared page", "file of one share link", "connections", "headers", "body", "webhook endpoints",
)  # fmt: skip

_counts: Counter[str] = Counter()
_lock = threading.Lock()


def count(limit: str) -> None:
    """Count a refusal by one of :data:`LIMITS`."""
    with _lock:
        _counts[limit] += 1


def counts() -> Mapping[str, int]:
    """Return the number of refusals by each limit since the process started."""
    with _lock:
        return {limit: _counts[limit] for limit in LIMITS}
