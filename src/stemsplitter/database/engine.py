"""Engines and transactions of SQLite and PostgreSQL."""

import os
import sqlite3
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Engine,
    Text,
    any_,
    create_engine,
    event,
    literal,
    text,
)
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import Session

from stemsplitter.database.problems import lost_table
from stemsplitter.errors import SettingsError

BUSY_TIMEOUT_MS = 30_000
IDLE_S = 60  # our transactions wait only for the database, and not for long


class Database:
    """An engine and its transactions. Thread-safe; one per process.

    Raises:
        SettingsError: the URL is neither ``sqlite:///…`` nor ``postgresql://…``.
    """

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
        except ArgumentError as error:
            raise SettingsError("DATABASE_URL is not a database URL: write sqlite:///FILE.") from error
        if parsed.drivername in ("postgresql", "postgres"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        self.url = parsed.render_as_string(hide_password=False)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        # one writer at a time in a process: waiting for this lock is fair, waiting for SQLite's is not
        self._writing = threading.Lock()
        if self.is_sqlite:
            self.engine = _open_sqlite(self.url)
        elif parsed.drivername == "postgresql+psycopg":
            self.engine = _open_postgresql(self.url)
        else:
            raise SettingsError(
                f"DATABASE_URL names {parsed.drivername}: write sqlite:///FILE or postgresql://…"
            )

        event.listen(self.engine, "handle_error", _raise_lost_table)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a session for reading; nothing is committed."""
        with Session(self.engine, expire_on_commit=False) as session:
            if self.is_sqlite:
                session.connection(execution_options={"sqlite_begin": "DEFERRED"})
            else:
                # each statement sees what was committed before it, in a transaction as well
                session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Run one transaction: committed at the end of the block, rolled back if it raises."""
        if self.is_sqlite:
            with self._writing, Session(self.engine, expire_on_commit=False) as session, session.begin():
                yield session
        else:
            with Session(self.engine, expire_on_commit=False) as session, session.begin():
                yield session

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _raise_lost_table(context: ExceptionContext) -> None:
    # a database that lacks a table is damaged, not unavailable: a retry would not help
    if error := lost_table(context.original_exception):
        raise error from context.original_exception


def _open_postgresql(url: str) -> Engine:
    engine = create_engine(url, pool_pre_ping=True, pool_size=10, max_overflow=20)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        # bounds how long a process that is suspended or disconnected in a transaction holds its locks
        connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_S}s'")
        connection.commit()

    return engine


def one_at_a_time(connection: Connection | Session, number: int) -> None:
    """Acquire the advisory lock with that ``number``, and hold it until the transaction ends.

    On SQLite it does nothing, as write transactions are exclusive. Each use needs a different number.
    """
    bound = connection.get_bind() if isinstance(connection, Session) else connection
    if bound.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": number})


def is_one_of(session: Session, column: Any, values: Collection[str]) -> ColumnElement[bool]:
    """Return the condition that a column's value is one of ``values``.

    On PostgreSQL the statement is the same for any number of values, so it is planned once.
    """
    if session.get_bind().dialect.name == "postgresql":
        return cast(ColumnElement[bool], column == any_(literal(list(values), ARRAY(Text))))
    return cast(ColumnElement[bool], column.in_(values))


def make_private(file: str) -> None:
    """Create an empty database file that only its owner can read. SQLite makes the files beside it likewise.

    A file that exists is not opened: closing it would drop the locks that SQLite holds on it in this process.
    """
    with suppress(OSError):  # it exists, or is opened, and reported, later
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))


def _open_sqlite(url: str) -> Engine:
    file = make_url(url).database
    engine = create_engine(
        url, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000}, pool_size=20, max_overflow=40
    )

    @event.listens_for(engine, "do_connect")
    def create(*_: Any) -> None:
        if file and file != ":memory:":
            make_private(file)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the listener below sends BEGIN
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        enable_wal(cursor)
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA synchronous=FULL")  # a committed ledger entry survives a power cut
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        # IMMEDIATE: a deferred transaction that reads and then writes fails if another one wrote in between
        mode = connection.get_execution_options().get("sqlite_begin", "IMMEDIATE")
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine


def enable_wal(cursor: sqlite3.Cursor) -> None:
    """Enable the write-ahead log. Retries, as SQLite does not wait if two processes do it at once for a new file."""
    end = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(0.01)
