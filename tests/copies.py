"""Copies of a migrated PostgreSQL database that tests use in turn: to empty one is faster than to make one."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError

_DISCONNECT = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_SCHEMA = """
    SELECT string_agg(part, ' ' ORDER BY part) FROM (
        SELECT concat_ws(':', relname, relkind, attname, format_type(atttypid, atttypmod), attnotnull) AS part
            FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
            WHERE relnamespace = 'public'::regnamespace AND attnum > 0
        UNION ALL SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace
        UNION ALL SELECT tgname FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        UNION ALL SELECT setconfig::text FROM pg_db_role_setting JOIN pg_database ON setdatabase = pg_database.oid
            WHERE datname = current_database()
        UNION ALL SELECT version_num FROM alembic_version
    ) AS parts
"""
_EMPTY = """
    DO $$
    DECLARE name text;
    BEGIN
        SET LOCAL session_replication_role = replica;  -- in any order of tables
        FOR name IN SELECT quote_ident(relname) FROM pg_class
            WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'alembic_version'
        LOOP EXECUTE 'DELETE FROM ' || name; END LOOP;
        FOR name IN SELECT quote_ident(relname) FROM pg_class
            WHERE relnamespace = 'public'::regnamespace AND relkind = 'S'
        LOOP EXECUTE 'ALTER SEQUENCE ' || name || ' RESTART'; END LOOP;
    END $$
"""


class Copies:
    """Copies that ``make``, a factory of contexts of their URLs, creates. Close it after the last test."""

    def __init__(self, make: Callable[[], AbstractContextManager[str]]) -> None:
        self._make = make
        self._all = ExitStack()
        self._free: list[str] = []
        self._schema: str | None = None

    @contextmanager
    def borrowed(self) -> Iterator[str]:
        """URL of a copy without rows, for the block."""
        if not self._free:
            self._free.append(self._all.enter_context(self._make()))
        url = self._free.pop()
        if self._schema is None:
            with _connected(url) as connection:
                self._schema = connection.execute(text(_SCHEMA)).scalar_one()
        yield url
        if self._is_emptied(url):
            self._free.append(url)

    def _is_emptied(self, url: str) -> bool:
        """Delete all rows; False if that is impossible or the test has changed the schema."""
        try:
            with _connected(url) as connection:
                connection.execute(text(_DISCONNECT))
                if connection.execute(text(_SCHEMA)).scalar_one() != self._schema:
                    return False
                connection.execute(text(_EMPTY))
                return True
        except DBAPIError:
            return False

    def close(self) -> None:
        self._all.close()


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        yield connection
    engine.dispose()
