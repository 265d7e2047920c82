"""Locks of a process that is suspended in a transaction are released."""

import time

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from stemsplitter.database import Database, engine

LIMIT_S = 60.0
LOCK = text("SELECT pg_try_advisory_xact_lock(1)")


@pytest.mark.fleet
def test_locks_of_a_suspended_process_are_released(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen, other = Database(postgres_url), Database(postgres_url)

    def is_free() -> bool:
        with other.write() as session:
            return bool(session.scalar(LOCK))

    try:
        assert is_free()  # and is connected to, with more patience than the next
        monkeypatch.setattr(engine, "IDLE_S", 1)
        with pytest.raises(DBAPIError), frozen.write() as session:
            assert session.scalar(LOCK)
            end = time.monotonic() + LIMIT_S
            while not is_free():
                assert time.monotonic() < end
                time.sleep(0.05)
            session.execute(text("SELECT 1"))  # awake again: it has lost its transaction
        with frozen.write() as session:
            assert session.scalar(LOCK)
    finally:
        frozen.close()
        other.close()


@pytest.mark.fleet
def test_lock_excludes_others(postgres_url: str) -> None:
    one, other = Database(postgres_url), Database(postgres_url)
    with one.write() as session, other.write() as others:
        assert session.scalar(LOCK) and not others.scalar(LOCK)
    one.close()
    other.close()
