"""How many splits have ended, and how: added up once, not each time that somebody asks."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from stemsplitter.splits.models import FAILED, SUCCEEDED, Split, SplitTotal

ENDED = (SUCCEEDED, FAILED)
# a split's end is written some time before its transaction is committed
LAG = timedelta(minutes=2)
_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True)
class Total:
    """Splits that ended, and their seconds of audio."""

    splits: int
    seconds: int


def read(session: Session) -> dict[str, Total]:
    """What succeeded and what failed: the sums that are kept, and what ended since."""
    kept = {total.status: total for total in session.scalars(select(SplitTotal))}
    totals = {}
    for status in ENDED:
        total = kept.get(status)
        since = _count(session, status, total.until if total else _EPOCH)
        totals[status] = Total(total.splits + since.splits, total.seconds + since.seconds) if total else since
    return totals


def add_up(session: Session, at: datetime) -> None:
    """Add what ended until lately to the sums that are kept."""
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
    query = select(func.count(), func.sum(Split.duration_seconds)).where(
        Split.status == status, Split.finished_at >= since
    )
    if until is not None:
        query = query.where(Split.finished_at < until)
    splits, seconds = session.execute(query).one()
    return Total(splits, int(seconds or 0))
