"""What went wrong, told from what was seen minute by minute."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from stemsplitter.health.models import HealthCheck

# a worker looks every minute; one that starts again needs a little longer
SILENCE = timedelta(minutes=5)
LONG_WAIT_S = 600


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that went wrong. ``ended`` is None while it goes on."""

    text: str
    began: datetime
    ended: datetime | None


def incidents(checks: Sequence[HealthCheck], at: datetime) -> list[Incident]:
    """The incidents in what was seen (the oldest first) until ``at``, the newest first."""
    found = [*_silences(checks, at)]
    for is_wrong, tell in _KINDS:
        found += _runs(checks, is_wrong, tell)
    return sorted(found, key=lambda incident: incident.began, reverse=True)


def _silences(checks: Sequence[HealthCheck], at: datetime) -> list[Incident]:
    """Times in which no worker lived that could have looked."""
    text = "No worker was at work"
    pairs = pairwise(checks)
    found = [Incident(text, a.at, b.at) for a, b in pairs if b.at - a.at > SILENCE]
    if checks and at - checks[-1].at > SILENCE:
        found.append(Incident(text, checks[-1].at, None))
    return found


def _runs(
    checks: Sequence[HealthCheck],
    is_wrong: Callable[[HealthCheck], bool],
    tell: Callable[[Sequence[HealthCheck]], str],
) -> list[Incident]:
    """One incident for all checks in a row that show the same."""
    found, run = [], list[HealthCheck]()
    for check in checks:
        if is_wrong(check):
            run.append(check)
        elif run:
            found.append(Incident(tell(run), run[0].at, check.at))
            run = []
    if run:
        found.append(Incident(tell(run), run[0].at, None))
    return found


def _tell_faults(run: Sequence[HealthCheck]) -> str:
    count = sum(check.faults for check in run)
    splits, their = ("1 split", "its") if count == 1 else (f"{count} splits", "their")
    return f"{splits} failed by a fault of the server; {their} credits were given back"


_KINDS: tuple[tuple[Callable[[HealthCheck], bool], Callable[[Sequence[HealthCheck]], str]], ...] = (
    (lambda check: not check.storage, lambda _: "The store of files did not answer"),
    (
        lambda check: check.waited_s > LONG_WAIT_S,
        lambda run: f"Splits waited up to {max(check.waited_s for check in run) // 60} minutes for a worker",
    ),
    (lambda check: check.faults > 0, _tell_faults),
)
