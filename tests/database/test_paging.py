from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from stemsplitter.accounts.models import Account
from stemsplitter.database import Database
from stemsplitter.database.paging import page
from stemsplitter.service_errors import InvalidCursor

AT = datetime(2026, 5, 3, tzinfo=UTC)
USERS = select(Account).where(Account.role == "user")
ORDER = (Account.created_at, Account.id)


def add(session: Session, name: str, minutes: int, role: str = "user") -> None:
    at = AT + timedelta(minutes=minutes)
    session.add(Account(id=name, email=f"{name}@example.com", role=role, created_at=at))
    session.flush()


def pages(session: Session, limit: int) -> list[list[str]]:
    found, cursor = page(session, USERS, ORDER, limit=limit, cursor=None)
    seen = [[each.id for each in found]]
    while cursor is not None:
        found, cursor = page(session, USERS, ORDER, limit=limit, cursor=cursor)
        seen.append([each.id for each in found])
    return seen


def test_pages_are_ordered_by_time_then_id_and_the_last_has_no_cursor(database: Database) -> None:
    with database.write() as session:
        for name, minutes in (("b", 1), ("a", 1), ("d", 0), ("c", 2), ("e", 1)):
            add(session, name, minutes)
    with database.read() as session:
        assert pages(session, 2) == [["c", "e"], ["b", "a"], ["d"]]
        assert pages(session, 5) == [["c", "e", "b", "a", "d"]]
        assert pages(session, 1) == [["c"], ["e"], ["b"], ["a"], ["d"]]


def test_a_row_added_between_two_pages_repeats_none(database: Database) -> None:
    with database.write() as session:
        for name, minutes in (("a", 0), ("b", 1), ("c", 2)):
            add(session, name, minutes)
        _, cursor = page(session, USERS, ORDER, limit=2, cursor=None)
        add(session, "new", 3)
        found, _ = page(session, USERS, ORDER, limit=2, cursor=cursor)
    assert [each.id for each in found] == ["a"]


def test_a_cursor_stays_valid_when_the_filters_exclude_its_row(database: Database) -> None:
    with database.write() as session:
        for name, minutes in (("a", 0), ("b", 1), ("c", 2)):
            add(session, name, minutes)
        found, _ = page(session, USERS, ORDER, limit=2, cursor="b", only=[Account.id != "b"])
    assert [each.id for each in found] == ["a"]


@pytest.mark.parametrize("cursor", ["nothing", "foreign"])
def test_a_cursor_of_another_list_is_refused(database: Database, cursor: str) -> None:
    with database.write() as session:
        add(session, "foreign", 0, role="operator")
        add(session, "own", 1)
        with pytest.raises(InvalidCursor, match="The cursor does not belong to this list"):
            page(session, USERS, ORDER, limit=1, cursor=cursor)
