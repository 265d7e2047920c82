"""Who falls silent in the midst of a transaction does not keep its locks from the others."""

import time

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from stemsplitter.database import Database, engine

LOCK = text("SELECT pg_try_advisory_xact_lock(1)")


@pytest.mark.fleet
def test_locks_of_a_frozen_process_are_free_in_time(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "IDLE_S", 1)
    frozen, other = Database(postgres_url), Database(postgres_url)
    try:
        with pytest.raises(DBAPIError), frozen.write() as session:
            assert session.scalar(LOCK)
            with other.write() as others:
                assert not others.scalar(LOCK)
            time.sleep(1.5)
            with other.write() as others:
                assert others.scalar(LOCK)
            session.execute(text("SELECT 1"))  # awake again: it has lost its transaction
        with frozen.write() as session:
            assert session.scalar(LOCK)
    finally:
        frozen.close()
        other.close()
