"""Totals of ended splits."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from stemsplitter.accounts.models import Account
from stemsplitter.clock import now
from stemsplitter.database import Database
from stemsplitter.splits import totals
from stemsplitter.splits.models import Split, SplitTotal
from stemsplitter.splits.totals import Total

from .rows import new_split

AT = now()


@pytest.fixture
def account(database: Database) -> str:
    with database.write() as session:
        session.add(Account(id="acc_1", email="a@example.org"))
    return "acc_1"


def end(session: Session, status: str, seconds: int, at: datetime) -> None:
    session.add(new_split("acc_1", status=status, duration_seconds=seconds, finished_at=at))


def read(database: Database) -> tuple[Total, Total]:
    with database.read() as session:
        found = totals.read(session)
    return found["succeeded"], found["failed"]


def test_totals_match_the_rows_after_any_updates(database: Database, account: str) -> None:
    assert read(database) == (Total(0, 0), Total(0, 0))
    expected = [0, 0]
    for minutes in range(10, 0, -1):
        at = AT - timedelta(minutes=minutes)
        with database.write() as session:
            end(session, "succeeded", minutes, at)
            end(session, "failed", 1, at)
        expected = [expected[0] + 1, expected[1] + minutes]
        assert read(database) == (Total(*expected), Total(expected[0], expected[0]))
        with database.write() as session:
            totals.update(session, at + timedelta(seconds=30))
        assert read(database) == (Total(*expected), Total(expected[0], expected[0]))
    with database.read() as session:
        kept = session.get_one(SplitTotal, "succeeded")
    assert 0 < kept.splits < 10  # the last of them may still be followed by one that ended before


def test_totals_count_each_split_once(database: Database, account: str) -> None:
    with database.write() as session:
        end(session, "succeeded", 5, AT - timedelta(hours=1))
        totals.update(session, AT)
        totals.update(session, AT)
        totals.update(session, AT - timedelta(hours=2))  # a clock that is behind
    with database.write() as session:
        session.execute(update(Split).values(duration_seconds=7))
    assert read(database)[0] == Total(1, 5)
