"""Signals as a terminal has them, and databases: new SQLite files, or on PostgreSQL where a server is named.

``STEMSPLITTER_TEST_POSTGRES=postgresql+psycopg://user@host/postgres`` runs the same tests there.
"""

import os
import secrets
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from stemsplitter.database import Base, Database, tables

__all__ = ["tables"]

# What runs in the background may ignore these, and what it starts does so, too: the tests send them.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def empty_database(tmp_path: Path) -> Iterator[Callable[[], Database]]:
    """Call it for a database without tables; another one each time."""
    server = os.environ.get("STEMSPLITTER_TEST_POSTGRES")
    with ExitStack() as stack:

        def make() -> Database:
            name = f"test_{secrets.token_hex(8)}"
            url = (
                stack.enter_context(_on_postgres(server, name))
                if server
                else f"sqlite:///{tmp_path / name}.db"
            )
            database = Database(url)
            stack.callback(database.close)
            return database

        yield make


@pytest.fixture
def database(empty_database: Callable[[], Database]) -> Database:
    """A database with all tables and no rows."""
    database = empty_database()
    Base.metadata.create_all(database.engine)
    return database


@contextmanager
def _on_postgres(server: str, name: str) -> Iterator[str]:
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield make_url(server).set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()
