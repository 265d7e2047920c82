"""Waiting for a condition with a bound that no machine reaches unless something is wrong."""

import time
from collections.abc import Callable

LIMIT_S = 60
INTERVAL_S = 0.05


def wait_until(
    condition: Callable[[], object], failure: str | Callable[[], str] = "", limit_s: float = LIMIT_S
) -> None:
    """Wait until ``condition()`` is true. Fails with ``failure``, a text or a function that returns one."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(failure() if callable(failure) else failure)
        time.sleep(INTERVAL_S)
