"""A database for tests: a new SQLite file, or one on PostgreSQL where the environment names a server.

``STEMSPLITTER_TEST_POSTGRES=postgresql+psycopg://user@host/postgres`` runs the same tests there.
"""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from stemsplitter.database import Base, Database, tables

__all__ = ["tables"]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A database with all tables and no rows."""
    server = os.environ.get("STEMSPLITTER_TEST_POSTGRES")
    if server is None:
        database = Database(f"sqlite:///{tmp_path / 'test.db'}")
        Base.metadata.create_all(database.engine)
        yield database
        database.close()
        return
    name = f"test_{secrets.token_hex(8)}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    database = Database(make_url(server).set(database=name).render_as_string(hide_password=False))
    Base.metadata.create_all(database.engine)
    yield database
    database.close()
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()
