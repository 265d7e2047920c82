"""Migrations are backward compatible: they only add, so the previous version keeps running during a rolling upgrade.

The rule is in CONTRIBUTING.md; it holds for all migrations after the first.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.operations import AbstractOperations, Operations, ops
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from stemsplitter.database import Database
from stemsplitter.migrations.upgrade import configuration

FIRST = "0001"
COMMAND = Path(sys.executable).with_name("stemsplitter")


@pytest.fixture
def database(empty_database: Callable[[], Database]) -> Database:
    """A database without tables."""
    return empty_database()


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[ops.MigrateOperation]:
    """The operations of migrations, recorded as they run."""
    found: list[ops.MigrateOperation] = []
    invoke = AbstractOperations.invoke

    def record(self: AbstractOperations, operation: ops.MigrateOperation) -> object:
        found.append(operation)
        return invoke(self, operation)

    monkeypatch.setattr(AbstractOperations, "invoke", record)
    return found


def complaints(operations: list[ops.MigrateOperation]) -> list[str]:
    """The operations that would break the previous version."""
    new = {operation.table_name for operation in operations if isinstance(operation, ops.CreateTableOp)}
    found = []
    for operation in operations:
        match operation:
            case ops.CreateTableOp() | ops.DropIndexOp():
                continue
            case ops.CreateIndexOp(table_name=table, unique=unique) if not unique or table in new:
                continue
            case ops.AddColumnOp(column=column) if column.nullable or column.server_default is not None:
                continue
            case ops.ExecuteSQLOp(sqltext=text) if str(text).lstrip().upper().startswith("UPDATE "):
                continue
        found.append(f"{type(operation).__name__} {getattr(operation, 'table_name', '')}")
    return found


def test_migrations_only_add(database: Database, recorded: list[ops.MigrateOperation]) -> None:
    seen = []
    with database.engine.begin() as connection:
        config = configuration(connection)
        command.upgrade(config, FIRST)
        for script in reversed(list(ScriptDirectory.from_config(config).walk_revisions(FIRST, "head"))):
            recorded.clear()
            command.upgrade(config, script.revision)
            assert complaints(recorded) == [], script.revision
            seen.append(script.revision)
    assert seen[0] == FIRST


def bad(op: Operations) -> None:
    op.add_column("songs", sa.Column("needed", sa.Integer(), nullable=False))
    op.create_index("uq_songs_name", "songs", ["name"], unique=True)
    op.execute(sa.text("DROP TABLE albums"))
    with op.batch_alter_table("songs") as batch:
        batch.alter_column("name", new_column_name="title")
        batch.drop_column("length")
        batch.create_check_constraint("long", sa.text("title <> ''"))


def good(op: Operations) -> None:
    op.create_table("labels", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("name", sa.Text()))
    op.create_index("uq_labels_name", "labels", ["name"], unique=True)
    op.create_index("ix_songs_name", "songs", ["name"])
    op.drop_index("ix_songs_name")
    op.add_column("songs", sa.Column("year", sa.Integer(), nullable=True))
    op.add_column("songs", sa.Column("plays", sa.Integer(), nullable=False, server_default="0"))
    op.execute(sa.text("UPDATE songs SET year = 1966"))


@pytest.mark.parametrize(("migration", "expected"), [(bad, 6), (good, 0)])
def test_operations_that_are_not_additive_are_found(
    database: Database,
    recorded: list[ops.MigrateOperation],
    migration: Callable[[Operations], None],
    expected: int,
) -> None:
    with database.engine.begin() as connection:
        for statement in (
            "CREATE TABLE songs (name TEXT, length INTEGER)",
            "CREATE TABLE albums (name TEXT)",
        ):
            connection.execute(sa.text(statement))
        migration(Operations(MigrationContext.configure(connection)))
    assert len(complaints(recorded)) == expected, complaints(recorded)


def test_concurrent_migrate_commands_all_succeed(database: Database, tmp_path: Path) -> None:
    """As when several hosts start a new version."""
    environment = os.environ | {
        "STEMSPLITTER_DATABASE_URL": database.url,
        "STEMSPLITTER_DATA_DIR": str(tmp_path / "data"),
    }
    processes = [
        subprocess.Popen(
            [COMMAND, "migrate"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    results = [(process.communicate(timeout=120), process.returncode) for process in processes]
    assert {(output, errors, code) for (output, errors), code in results} == {(results[0][0][0], "", 0)}
    assert "ledger_entries" in inspect(database.engine).get_table_names()
