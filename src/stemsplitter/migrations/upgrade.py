"""Upgrade of the database schema."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from stemsplitter.database.engine import Database, one_at_a_time
from stemsplitter.database.problems import connection_problem, tables_missing
from stemsplitter.errors import SchemaError, SettingsError
from stemsplitter.migrations import tables

_LOCK = 0x5354454D  # "STEM": any number that all processes agree on


def upgrade(database: Database) -> str:
    """Run pending migrations in one transaction, and return the current revision.

    Concurrent upgrades wait for the first one, which leaves them nothing to do.

    Raises:
        SchemaError: the schema is that of a newer version, or lacks a table; nothing was changed.
        SettingsError: the database cannot be opened.
    """
    check_opens(database)
    with database.engine.begin() as connection:  # exclusive on SQLite
        one_at_a_time(connection, _LOCK)
        config = configuration(connection)
        scripts = ScriptDirectory.from_config(config)
        newest = scripts.get_current_head()
        assert newest is not None  # migrations have no branches
        if _check_schema(connection, scripts) != newest:
            command.upgrade(config, "head")
        return newest


def check_database(database: Database) -> None:
    """Check a database without a change; it may be empty.

    Raises:
        SchemaError: the schema is that of a newer version, or lacks a table.
        SettingsError: the database cannot be opened.
    """
    check_opens(database)
    with database.read() as session:
        connection = session.connection()
        _check_schema(connection, ScriptDirectory.from_config(configuration(connection)))


def check_opens(database: Database) -> None:
    """Raise SettingsError if the database cannot be opened."""
    try:
        with database.read() as session:
            session.execute(text("SELECT 1"))
    except DBAPIError as error:
        raise SettingsError(connection_problem(database.engine.url, error)) from error


def _check_schema(connection: Connection, scripts: ScriptDirectory) -> str | None:
    """Return the revision of the schema, None for an empty database; raise SchemaError if it cannot be used."""
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in {script.revision for script in scripts.walk_revisions()}:
        raise SchemaError(
            f"The database schema is of a newer version of stemsplitter ({current}; this version supports "
            f"{scripts.get_current_head()}): install that version, or restore an older backup."
        )
    if current == scripts.get_current_head() and (missing := missing_tables(connection)):
        raise tables_missing(missing)
    return current


def missing_tables(connection: Connection) -> list[str]:
    """Return the tables that the database lacks."""
    return sorted(set(tables.Base.metadata.tables) - set(inspect(connection).get_table_names()))


def configuration(connection: Connection) -> Config:
    """Return Alembic's configuration for a connection with a transaction of the caller."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
