"""Incidents, derived from health checks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from stemsplitter.health.models import HealthCheck

# workers check every minute; a restart takes a little longer
MAX_GAP = timedelta(minutes=5)
MAX_WAIT_S = 600


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident. ``ended`` is None while it lasts."""

    text: str
    began: datetime
    ended: datetime | None


def incidents(checks: Sequence[HealthCheck], at: datetime) -> list[Incident]:
    """Return the incidents in checks (oldest first) until ``at``, newest first."""
    found = [*_gaps(checks, at)]
    for is_bad, describe in _KINDS:
        found += _runs(checks, is_bad, describe)
    return sorted(found, key=lambda incident: incident.began, reverse=True)


def _gaps(checks: Sequence[HealthCheck], at: datetime) -> list[Incident]:
    """Return the times without a check."""
    text = "No worker was running"
    pairs = pairwise(checks)
    found = [Incident(text, a.at, b.at) for a, b in pairs if b.at - a.at > MAX_GAP]
    if checks and at - checks[-1].at > MAX_GAP:
        found.append(Incident(text, checks[-1].at, None))
    return found


def _runs(
    checks: Sequence[HealthCheck],
    is_bad: Callable[[HealthCheck], bool],
    describe: Callable[[Sequence[HealthCheck]], str],
) -> list[Incident]:
    """Return an incident for each series of consecutive bad checks."""
    found, run = [], list[HealthCheck]()
    for check in checks:
        if is_bad(check):
            run.append(check)
        elif run:
            found.append(Incident(describe(run), run[0].at, check.at))
            run = []
    if run:
        found.append(Incident(describe(run), run[0].at, None))
    return found


def _describe_faults(run: Sequence[HealthCheck]) -> str:
    count = sum(check.faults for check in run)
    if count == 1:
        return "1 split failed because of a server error; its credits were refunded"
    return f"{count} splits failed because of a server error; their credits were refunded"


_KINDS: tuple[tuple[Callable[[HealthCheck], bool], Callable[[Sequence[HealthCheck]], str]], ...] = (
    (lambda check: not check.storage, lambda _: "The file storage was unavailable"),
    (
        lambda check: check.waited_s > MAX_WAIT_S,
        lambda run: f"Splits waited up to {max(check.waited_s for check in run) // 60} minutes for a worker",
    ),
    (lambda check: check.faults > 0, _describe_faults),
)
