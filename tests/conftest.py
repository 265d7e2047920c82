"""Default signal handlers, and databases: new SQLite files or, with ``--fleet``, new PostgreSQL databases.

``STEMSPLITTER_TEST_POSTGRES=postgresql+psycopg://user@host/postgres`` selects an existing PostgreSQL server; without
it, ``--fleet`` starts one.
"""

import os
import secrets
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path

import pytest
from hypothesis import settings
from sqlalchemy import NullPool, create_engine, make_url, text

from stemsplitter.database import Database
from stemsplitter.migrations import tables
from stemsplitter.migrations.upgrade import upgrade

from .copies import Copies
from .postgres import Postgres, postgres

__all__ = ["tables"]

# the duration of an example depends on the machine
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")

OTHER_POSTGRES = os.environ.get("STEMSPLITTER_TEST_POSTGRES")

# Background jobs of a shell ignore these signals, and their children inherit that; the tests send them.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fleet",
        action="store_true",
        help="run the tests that use a database or a server, on PostgreSQL, S3 and several processes per role",
    )


# these run on SQLite only: their queries are those of the services, whose tests run on PostgreSQL, too
FACES = tuple(Path(__file__).parent / name for name in ("api", "console"))
# these run last: their servers live until the end, and idle processes delay other tests
SERVED = tuple(Path(__file__).parent / name for name in ("acceptance", "examples"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With --fleet, keep tests that use a database, directly or indirectly, unless they are marked ``sqlite``; without,
    drop tests marked ``fleet``. Tests of shared servers come last."""
    fleet = config.getoption("--fleet")

    def is_wanted(item: pytest.Item) -> bool:
        if item.get_closest_marker("fleet"):
            return fleet
        if item.get_closest_marker("sqlite") or any(face in item.path.parents for face in FACES):
            return not fleet
        return not fleet or "postgres_url" in getattr(item, "fixturenames", ())

    config.hook.pytest_deselected(items=[item for item in items if not is_wanted(item)])
    wanted = [item for item in items if is_wanted(item)]
    items[:] = sorted(wanted, key=lambda item: any(folder in item.path.parents for folder in SERVED))


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    """Restore the umask, which the commands of a server change."""
    before = os.umask(0)
    os.umask(before)
    yield
    os.umask(before)


@pytest.fixture(scope="session", autouse=True)
def _only_known_variables() -> Iterator[None]:
    """Hide the variable of the tests from the server, which refuses unknown ones."""
    with pytest.MonkeyPatch.context() as patched:
        patched.delenv("STEMSPLITTER_TEST_POSTGRES", raising=False)
        yield


@pytest.fixture(scope="session")
def own_postgres(request: pytest.FixtureRequest) -> Iterator[Postgres | None]:
    """Local PostgreSQL server; None without ``--fleet`` or if an existing server is selected."""
    if OTHER_POSTGRES or not request.config.getoption("--fleet"):
        yield None
        return
    with postgres() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(own_postgres: Postgres | None) -> str | None:
    """URL of a PostgreSQL server on which databases can be created; None if the tests run on SQLite."""
    return OTHER_POSTGRES if own_postgres is None else own_postgres.url


@pytest.fixture
def empty_database(postgres_url: str | None, tmp_path: Path) -> Iterator[Callable[[], Database]]:
    """Factory of databases without tables; each call returns a new one."""
    with _databases(None if postgres_url is None else partial(new_database, postgres_url), tmp_path) as make:
        yield make


@pytest.fixture(scope="session")
def migrated(postgres_url: str | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a migrated database to copy, which is faster than to run the migration again."""
    new = None if postgres_url is None else partial(new_database, postgres_url)
    with _databases(new, tmp_path_factory.mktemp("migrated")) as make:
        database = make()
        upgrade(database)
        database.close()
        yield database.url


@pytest.fixture(scope="session")
def copies(postgres_url: str | None, migrated: str) -> Iterator[Copies | None]:
    """Copies of the migrated PostgreSQL database; None if the tests run on SQLite."""
    if postgres_url is None:
        yield None
        return
    with closing(Copies(lambda: new_database(postgres_url, migrated))) as copies:
        yield copies


@pytest.fixture
def database(copies: Copies | None, migrated: str, tmp_path: Path) -> Iterator[Database]:
    """Database with all tables and no rows."""
    with _databases(None if copies is None else copies.borrowed, tmp_path, migrated) as make:
        yield make()


@pytest.fixture(scope="module")
def databases(
    copies: Copies | None, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], Database]]:
    """Factory of migrated databases that the tests of a module share; each call returns a new one."""
    with _databases(
        None if copies is None else copies.borrowed, tmp_path_factory.mktemp("databases"), migrated
    ) as make:
        yield make


@contextmanager
def _databases(
    new: Callable[[], AbstractContextManager[str]] | None, folder: Path, template: str | None = None
) -> Iterator[Callable[[], Database]]:
    with ExitStack() as stack:

        def make() -> Database:
            if new is not None:
                url = stack.enter_context(new())
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
    """Create a database on a PostgreSQL server, empty or a copy of the one at URL ``template``. Yields its URL."""
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
