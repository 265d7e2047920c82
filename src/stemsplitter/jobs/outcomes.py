"""Outcomes that the input of a test job can ask for: the name of its file, or the text of a speech, begins with one."""

import time
from collections.abc import Callable
from typing import Final

from stemsplitter.errors import AudioError, Stopped
from stemsplitter.service_errors import InsufficientCredits

FAILED: Final = "test-failed"
SLOW: Final = "test-slow"
NO_CREDITS: Final = "test-insufficient-credits"

SLOW_SECONDS = 15.0
_STEP_SECONDS = 0.5


def check_credits(name: str, cost: int) -> None:
    """Raise InsufficientCredits if the input asks for it and the job costs anything."""
    if cost and _asks_for(name, NO_CREDITS):
        raise InsufficientCredits(cost, 0)


def happen(name: str, on_progress: Callable[[float], bool]) -> None:
    """Wait or fail, as the input asks.

    Raises:
        AudioError: the job fails.
        Stopped: ``on_progress`` returned true.
    """
    steps = round(SLOW_SECONDS / _STEP_SECONDS) if _asks_for(name, SLOW) else 0
    for step in range(steps + 1):
        if on_progress(step / (steps + 1)):
            raise Stopped("The job was stopped.")
        if step < steps:
            time.sleep(_STEP_SECONDS)
    if _asks_for(name, FAILED):
        raise AudioError(f"The name of the input asks for a failure: it begins with {FAILED}.")


def _asks_for(name: str, outcome: str) -> bool:
    return name.lower().startswith(outcome)
