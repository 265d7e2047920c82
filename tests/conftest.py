"""Signals as a terminal has them, and databases: new SQLite files, or with ``--fleet`` new databases of a PostgreSQL.

``STEMSPLITTER_TEST_POSTGRES=postgresql+psycopg://user@host/postgres`` names another than the tests' own PostgreSQL.
"""

import os
import secrets
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from hypothesis import settings
from sqlalchemy import NullPool, create_engine, make_url, text

from stemsplitter.database import Database
from stemsplitter.migrations import tables
from stemsplitter.migrations.upgrade import upgrade

from .postgres import Postgres, postgres

__all__ = ["tables"]

# how long an example takes is the machine's affair
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")

OTHER_POSTGRES = os.environ.get("STEMSPLITTER_TEST_POSTGRES")

# What runs in the background may ignore these, and what it starts does so, too: the tests send them.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fleet",
        action="store_true",
        help="run what uses a database or a server, on PostgreSQL, S3 and processes as on several hosts",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With --fleet, keep what a database is asked for by, directly or not; without, what is not for a fleet only."""
    fleet = config.getoption("--fleet")

    def is_wanted(item: pytest.Item) -> bool:
        if item.get_closest_marker("fleet"):
            return fleet
        return not fleet or "postgres_url" in getattr(item, "fixturenames", ())

    config.hook.pytest_deselected(items=[item for item in items if not is_wanted(item)])
    items[:] = [item for item in items if is_wanted(item)]


@pytest.fixture(scope="session")
def own_postgres(request: pytest.FixtureRequest) -> Iterator[Postgres | None]:
    """A PostgreSQL server of the tests' own, with ``--fleet`` and where no other is named."""
    if OTHER_POSTGRES or not request.config.getoption("--fleet"):
        yield None
        return
    with postgres() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(own_postgres: Postgres | None) -> str | None:
    """The URL of a PostgreSQL server on which databases may be made; None where the tests are for SQLite."""
    return OTHER_POSTGRES if own_postgres is None else own_postgres.url


@pytest.fixture
def empty_database(postgres_url: str | None, tmp_path: Path) -> Iterator[Callable[[], Database]]:
    """Call it for a database without tables; another one each time."""
    with _databases(postgres_url, tmp_path) as make:
        yield make


@pytest.fixture(scope="session")
def migrated(postgres_url: str | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a database as a first start leaves it, to be copied, which is quicker than to migrate another."""
    with _databases(postgres_url, tmp_path_factory.mktemp("migrated")) as make:
        database = make()
        upgrade(database)
        database.close()
        yield database.url


@pytest.fixture
def database(postgres_url: str | None, migrated: str, tmp_path: Path) -> Iterator[Database]:
    """A database with all tables and no rows."""
    with _databases(postgres_url, tmp_path, migrated) as make:
        yield make()


@pytest.fixture(scope="module")
def databases(
    postgres_url: str | None, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], Database]]:
    """Call it for a database as :func:`database` is one, which a module's tests share; another one each time."""
    with _databases(postgres_url, tmp_path_factory.mktemp("databases"), migrated) as make:
        yield make


@contextmanager
def _databases(
    server: str | None, folder: Path, template: str | None = None
) -> Iterator[Callable[[], Database]]:
    with ExitStack() as stack:

        def make() -> Database:
            if server is not None:
                url = stack.enter_context(new_database(server, template))
            else:
                file = folder / f"{secrets.token_hex(8)}.db"
                url = f"sqlite:///{file}"
                if template is not None:
                    shutil.copy(template.removeprefix("sqlite:///"), file)
            database = Database(url)
            stack.callback(database.close)
            return database

        yield make


@contextmanager
def new_database(server: str, template: str | None = None) -> Iterator[str]:
    """The URL of a new database on a PostgreSQL server: an empty one, or a copy of ``template``, the URL of another."""
    name = f"test_{secrets.token_hex(8)}"
    source = "template0" if template is None else make_url(template).database
    admin = create_engine(server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {source}"))
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
