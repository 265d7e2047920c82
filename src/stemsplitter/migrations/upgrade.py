"""Bringing the tables to what this version needs."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from stemsplitter.database.engine import Database, one_at_a_time
from stemsplitter.errors import SchemaError, SettingsError

_LOCK = 0x5354454D  # "STEM": any number that all processes agree on


def upgrade(database: Database) -> str:
    """Run the migrations that are missing, all in one transaction, and return the revision that is reached.

    Processes that start at once wait for the first, and then find nothing left to do.

    Raises:
        SchemaError: the tables were made by a newer version; nothing was changed.
        SettingsError: the database cannot be opened.
    """
    check_opens(database)
    with database.engine.begin() as connection:  # on SQLite the only writer already
        one_at_a_time(connection, _LOCK)
        config = configuration(connection)
        scripts = ScriptDirectory.from_config(config)
        newest = scripts.get_current_head()
        assert newest is not None  # there is one line of migrations
        current = MigrationContext.configure(connection).get_current_revision()
        if current is not None and current not in {script.revision for script in scripts.walk_revisions()}:
            raise SchemaError(
                f"The database has the tables of a newer version of stemsplitter ({current}; this one knows "
                f"{newest}): install that version, or restore a backup from before it."
            )
        if current != newest:
            command.upgrade(config, "head")
        return newest


def check_opens(database: Database) -> None:
    """Raise SettingsError where the database does not answer."""
    try:
        with database.read() as session:
            session.execute(text("SELECT 1"))
    except DBAPIError as error:
        raise SettingsError(
            f"The database {database.engine.url.render_as_string(hide_password=True)} cannot be opened: start "
            "it, make its folder writable, or correct STEMSPLITTER_DATABASE_URL."
        ) from error


def configuration(connection: Connection) -> Config:
    """Alembic's configuration, for one connection whose transaction is the caller's."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
