from pathlib import Path

import pytest
from sqlalchemy import inspect, text
from typer.testing import CliRunner

from stemsplitter.cli.main import app
from stemsplitter.database import Database
from stemsplitter.errors import SchemaError, SettingsError


def test_migrate_creates_tables(data_dir: Path) -> None:
    for _ in range(2):
        done = CliRunner().invoke(app, ["migrate"])
        assert done.exit_code == 0 and done.stdout.startswith("The database is at revision ")
    database = Database(f"sqlite:///{data_dir / 'stemsplitter.db'}")
    assert {"ledger_entries", "job_queues"} <= set(inspect(database.engine).get_table_names())
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    assert isinstance(CliRunner().invoke(app, ["migrate"]).exception, SchemaError)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("sqlite:////nowhere/at/all.db", "cannot be opened"),
        ("postgresql+psycopg://name:word@127.0.0.1:1/stems", "Nothing listens at 127.0.0.1:1"),
    ],
)
def test_unreachable_database_is_a_settings_error(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, url: str, told: str
) -> None:
    monkeypatch.setenv("STEMSPLITTER_DATABASE_URL", url)
    error = CliRunner().invoke(app, ["migrate"]).exception
    assert isinstance(error, SettingsError)
    assert told in str(error) and "word@" not in str(error)


def test_data_dir_that_cannot_be_created_is_a_settings_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    error = CliRunner().invoke(app, ["migrate", "--data-dir", str(tmp_path / "file" / "below")]).exception
    assert isinstance(error, SettingsError) and "set STEMSPLITTER_DATA_DIR" in str(error)


def test_low_database_and_folders_are_private(data_dir: Path) -> None:
    (data_dir / "files").mkdir(parents=True)
    database = data_dir / "stemsplitter.db"
    database.touch()
    for path, mode in ((data_dir, 0o755), (data_dir / "files", 0o755), (database, 0o644)):
        path.chmod(mode)  # as an earlier version made them
    assert CliRunner().invoke(app, ["migrate"]).exit_code == 0
    modes = {path.name: path.stat().st_mode & 0o777 for path in (data_dir, *data_dir.iterdir())}
    assert modes.pop(data_dir.name) == modes.pop("files") == 0o700
    assert modes["stemsplitter.db"] == 0o600 and set(modes.values()) == {0o600}


def test_data_dir_is_private(data_dir: Path) -> None:
    CliRunner().invoke(app, ["migrate"])
    assert data_dir.stat().st_mode & 0o777 == 0o700
