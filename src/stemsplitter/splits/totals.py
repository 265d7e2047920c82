"""Totals of splits that have ended, added up periodically instead of at each query."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from stemsplitter.jobs.models import FAILED, SUCCEEDED
from stemsplitter.splits.models import Split, SplitTotal

ENDED = (SUCCEEDED, FAILED)
# `finished_at` is set some time before its transaction commits
LAG = timedelta(minutes=2)
_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True)
class Total:
    """Number of splits, those of test keys aside, and their seconds of audio."""

    splits: int
    seconds: int


def read(session: Session) -> dict[str, Total]:
    """Return the totals by status: the stored sums and what ended since."""
    stored = {total.status: total for total in session.scalars(select(SplitTotal))}
    totals = {}
    for status in ENDED:
        total = stored.get(status)
        since = _count(session, status, total.until if total else _EPOCH)
        totals[status] = Total(total.splits + since.splits, total.seconds + since.seconds) if total else since
    return totals


def update(session: Session, at: datetime) -> None:
    """Add the splits that ended before ``at``, less :data:`LAG`, to the stored sums."""
    until = at - LAG
    for status in ENDED:
        total = session.get(SplitTotal, status, with_for_update=True)
        if total is None:
            total = SplitTotal(status=status, until=_EPOCH, splits=0, seconds=0)
            session.add(total)
        if total.until < until:
            since = _count(session, status, total.until, until)
            total.splits, total.seconds = total.splits + since.splits, total.seconds + since.seconds
            total.until = until


def _count(session: Session, status: str, since: datetime, until: datetime | None = None) -> Total:
    query = (
        select(func.count(), func.sum(Split.duration_seconds))
        .select_from(Split)
        .where(Split.status == status, Split.finished_at >= since, Split.is_live())
    )
    if until is not None:
        query = query.where(Split.finished_at < until)
    splits, seconds = session.execute(query).one()
    return Total(splits, int(seconds or 0))
