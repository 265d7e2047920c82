"""Locks of a process that is suspended in a transaction are released; the file is private."""

import subprocess
import sys
import time
from pathlib import Path

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


def test_connection_to_a_database_in_use_keeps_its_locks(tmp_path: Path) -> None:
    """A process loses all its locks on a file when it closes any descriptor of it."""
    file = tmp_path / "used.db"
    database = Database(f"sqlite:///{file}")
    other = "import sqlite3; c = sqlite3.connect({!r}); {}; c.commit(); c.close()"
    with database.write() as session:
        session.execute(text("CREATE TABLE t (a)"))
    with database.read(), database.read():
        pass  # both connections stay open
    insert = other.format(str(file), "c.execute('INSERT INTO t VALUES (1)')")
    subprocess.run([sys.executable, "-c", insert], check=True)
    assert file.with_name("used.db-wal").exists()  # whoever closes the last connection deletes it
    with database.write() as session:
        session.execute(text("INSERT INTO t VALUES (2)"))
    select = other.format(str(file), "print(c.execute('SELECT a FROM t ORDER BY a').fetchall())")
    found = subprocess.run([sys.executable, "-c", select], check=True, capture_output=True, text=True)
    database.close()
    assert found.stdout == "[(1,), (2,)]\n"


def test_new_database_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'new.db'}")
    assert not (tmp_path / "new.db").exists()
    with database.write() as session:
        session.execute(text("CREATE TABLE t (a)"))
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    database.close()
    assert modes["new.db"] == 0o600 and set(modes.values()) == {0o600}
