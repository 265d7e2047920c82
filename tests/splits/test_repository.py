"""Queries of splits of all accounts, for the operator."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from stemsplitter.accounts.models import Account
from stemsplitter.clock import now
from stemsplitter.database import Database
from stemsplitter.service_errors import ValidationFailed
from stemsplitter.splits.models import Split
from stemsplitter.splits.repository import failed, failures_by_code, unfinished

AT = now()


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.write() as session:
        session.add_all(Account(id=f"acc_{number}", email=f"{number}@example.com") for number in range(2))
        session.flush()
        yield session


def add(session: Session, name: str, status: str, minutes: int, code: str | None = None) -> None:
    """Add a split that was created, and ended if it has, ``minutes`` ago."""
    at = AT - timedelta(minutes=minutes)
    session.add(
        Split(
            id=f"split_{name}", account_id=f"acc_{len(name) % 2}", status=status, stem_model="4s",
            requested_stems=["vocals"], output_format="mp3", filename="a.mp3", duration_seconds=1, credits_used=1,
            source_key="splits/a", source_bytes=1, model={}, user_metadata={}, error_code=code,
            created_at=at, updated_at=at, expires_at=at, finished_at=at if status in ("succeeded", "failed") else None,
        )
    )  # fmt: skip
    session.flush()


def names(splits: list[Split]) -> list[str]:
    return [split.id.removeprefix("split_") for split in splits]


def test_running_splits_come_before_queued_ones(session: Session) -> None:
    for name, status, minutes in (
        ("wait1", "queued", 3), ("wait22", "queued", 2), ("run", "processing", 1), ("run2", "processing", 4),
        ("done", "succeeded", 5), ("failed", "failed", 5),
    ):  # fmt: skip
        add(session, name, status, minutes)
    assert names(list(unfinished(session, 9))) == ["run2", "run", "wait1", "wait22"]
    assert names(list(unfinished(session, 3))) == ["run2", "run", "wait1"]


def test_failed_splits_are_paged_and_filtered_by_code(session: Session) -> None:
    for number in range(5):
        add(session, f"s{number}", "failed", number, "SERVER_ERROR" if number % 2 else "CANCELED")
    add(session, "queued", "queued", 0)
    found, cursor = failed(session, limit=3)
    assert names(list(found)) == ["s0", "s1", "s2"] and cursor == "split_s2"
    found, cursor = failed(session, limit=3, cursor=cursor)
    assert names(list(found)) == ["s3", "s4"] and cursor is None
    found, _ = failed(session, limit=3, code="SERVER_ERROR")
    assert names(list(found)) == ["s1", "s3"]
    for wrong in ("split_queued", "split_nothing"):
        with pytest.raises(ValidationFailed, match="cursor"):
            failed(session, limit=3, cursor=wrong)


def test_failures_are_counted_by_code(session: Session) -> None:
    assert failures_by_code(session, AT) == {}
    for number, code in enumerate(["A", "B", "B", "A", "B"]):
        add(session, f"s{number}", "failed", number, code)
    assert list(failures_by_code(session, AT - timedelta(minutes=3)).items()) == [("A", 2), ("B", 2)]
    assert list(failures_by_code(session, AT - timedelta(minutes=9)).items()) == [("B", 3), ("A", 2)]
