"""The table of request counts, and on SQLite its own file."""

import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError

from stemsplitter.database import one_at_a_time
from stemsplitter.database.engine import enable_wal, make_private

_CREATE_TABLE = """
CREATE {unlogged} TABLE IF NOT EXISTS request_counts (
    bucket VARCHAR(80) PRIMARY KEY,
    started DOUBLE PRECISION NOT NULL,
    used INTEGER NOT NULL,
    before INTEGER NOT NULL,
    allowed INTEGER NOT NULL,
    expires DOUBLE PRECISION NOT NULL
)
"""
DAMAGED = ".damaged"  # one is kept, the last
_LOCK = 0x52415445  # "RATE"

_log = logging.getLogger(__name__)


def create_table(engine: Engine) -> None:
    """Create the table, unlogged on PostgreSQL."""
    is_sqlite = engine.dialect.name == "sqlite"
    with engine.begin() as connection:
        # concurrent CREATE TABLE IF NOT EXISTS can fail on PostgreSQL
        one_at_a_time(connection, _LOCK)
        connection.exec_driver_sql(_CREATE_TABLE.format(unlogged="" if is_sqlite else "UNLOGGED"))


def open_file(path: Path) -> Engine:
    """Open the file of the counts. A damaged one is renamed and replaced: a minute of counts is no loss."""
    make_private(str(path))
    engine = open_engine(f"sqlite:///{path}")
    try:
        create_table(engine)
    except OperationalError as error:  # locked, or the disk is full
        _log.warning("the file of request counts cannot be written: %s", error.orig)
    except DBAPIError as error:
        engine.dispose()
        aside = path.with_name(f"{path.name}{DAMAGED}")
        _log.warning("the file of request counts is damaged, and kept as %s: %s", aside, error.orig)
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                Path(f"{path}{suffix}").replace(f"{aside}{suffix}")
        make_private(str(path))
        engine = open_engine(f"sqlite:///{path}")
        create_table(engine)
    return engine


def open_engine(url: str, **options: Any) -> Engine:
    """Open a SQLite database in autocommit mode that is not synced."""
    engine = create_engine(url, connect_args={"timeout": 30, "check_same_thread": False}, **options)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # autocommit
        cursor = connection.cursor()
        enable_wal(cursor)
        cursor.execute("PRAGMA synchronous=OFF")
        cursor.close()

    return engine
