import ast
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, inspect, text

import stemsplitter
from stemsplitter.database import Base, Database
from stemsplitter.errors import SchemaError
from stemsplitter.migrations import tables
from stemsplitter.migrations.upgrade import upgrade

PACKAGE = Path(stemsplitter.__file__).parent


@pytest.fixture
def database(empty_database: Callable[[], Database]) -> Database:
    """A database without tables."""
    return empty_database()


def described(engine: Engine) -> dict[str, Any]:
    """Everything that can be reflected of the tables. Alembic's own comparison misses checks and partial indexes."""
    inspector = inspect(engine)
    return {
        name: {
            "columns": [
                (each["name"], str(each["type"]), each["nullable"], each["default"])
                for each in inspector.get_columns(name)
            ],
            "primary key": inspector.get_pk_constraint(name),
            "foreign keys": sorted(map(str, inspector.get_foreign_keys(name))),
            "unique": sorted(map(str, inspector.get_unique_constraints(name))),
            "checks": sorted(map(str, inspector.get_check_constraints(name))),
            "indexes": sorted(
                (
                    each["name"],
                    each["column_names"],
                    each["unique"],
                    [
                        str(value)
                        for name, value in each["dialect_options"].items()
                        if name.endswith("_where")
                    ],
                )
                for each in inspector.get_indexes(name)
            ),
        }
        for name in inspector.get_table_names()
        if name != "alembic_version"
    }


def test_migrations_match_the_models(database: Database, empty_database: Callable[[], Database]) -> None:
    upgrade(database)
    from_models = empty_database()
    Base.metadata.create_all(from_models.engine)
    migrated = described(database.engine)
    assert migrated.keys() >= {"accounts", "ledger_entries"}
    assert migrated == described(from_models.engine)


def test_comparison_includes_checks_and_partial_indexes(database: Database) -> None:
    upgrade(database)
    ledger = described(database.engine)["ledger_entries"]
    assert any("amount <= 0" in check for check in ledger["checks"])
    (ended,) = (index for index in ledger["indexes"] if index[0] == "uq_ledger_entries_ended")
    assert ended[1:3] == (["split_id"], True) and "release" in ended[3][0]


def test_tables_module_imports_every_table() -> None:
    """A table that `tables` does not import would be missing from a new database."""
    defined = {
        str(statement.value.value)
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        for statement in node.body
        if isinstance(statement, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == "__tablename__" for target in statement.targets)
        and isinstance(statement.value, ast.Constant)
    }
    program = (  # imports nothing else
        "from stemsplitter.database import Base; from stemsplitter.migrations import tables; "
        "print(*Base.metadata.tables)"
    )
    imported = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()
    assert tables.__all__ and defined == set(imported)


def test_second_upgrade_changes_nothing(database: Database) -> None:
    first = upgrade(database)
    before = described(database.engine)
    assert upgrade(database) == first
    assert described(database.engine) == before


def test_concurrent_upgrades_all_succeed(database: Database) -> None:
    """Each thread has its own engine, as a process would."""
    failures: list[BaseException] = []
    together = threading.Barrier(4)

    def start() -> None:
        own = Database(database.url)
        try:
            together.wait(timeout=30)
            upgrade(own)
        except BaseException as error:
            failures.append(error)
        finally:
            own.close()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert failures == []
    assert "ledger_entries" in inspect(database.engine).get_table_names()


def test_newer_schema_is_refused_and_unchanged(database: Database) -> None:
    newest = upgrade(database)
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(
        SchemaError, match=rf"newer version of stemsplitter \(9999; this version supports {newest}\)"
    ):
        upgrade(database)
    with database.read() as session:
        assert session.scalar(text("SELECT version_num FROM alembic_version")) == "9999"


def test_failed_migration_is_rolled_back(database: Database) -> None:
    """The name of one of the tables is taken."""
    with database.write() as session:
        session.execute(text("CREATE TABLE ledger_entries (oh INTEGER)"))
    with pytest.raises(Exception, match=r"ledger_entries\"? already exists"):
        upgrade(database)
    assert inspect(database.engine).get_table_names() == ["ledger_entries"]
