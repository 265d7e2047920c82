"""Backup and restore of a server on SQLite and a local file store."""

import errno
import json
import shutil
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stemsplitter.backup import back_up, restore
from stemsplitter.cli.main import app
from stemsplitter.errors import OutputError, RequestError
from stemsplitter.migrations.upgrade import upgrade
from stemsplitter.services import Services
from stemsplitter.settings import Settings

FILES = {
    "splits/split_1/source.mp3": b"song",
    "splits/split_1/stems/vocals.wav": b"voice" * 9000,
    "uploads/u/1": b"",
}


def _server(settings: Settings) -> str:
    """Create a server's data; returns the webhook secret of its account."""
    services = Services(settings)
    upgrade(services.database)
    for key, content in FILES.items():
        services.storage.put_stream(key, [content], "audio/mpeg")
    with services.database.write() as session:
        account = services.accounts.create_account(session, "a@example.org")
        shown = services.webhook_secrets.create_secret(session, account.id)
    services.close()
    return shown


def _secrets(settings: Settings) -> list[str]:
    services = Services(settings)
    try:
        with services.database.read() as session:
            account = services.accounts.find_account(session, "a@example.org")
            return services.webhook_secrets.active_secrets(session, account.id)
    finally:
        services.close()


def _dump(database: Path) -> list[str]:
    opened = sqlite3.connect(database)
    try:
        return list(opened.iterdump())
    finally:
        opened.close()


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Folder with a server's data, created once, and the webhook secret of its account."""
    folder = tmp_path_factory.mktemp("made")
    return folder, _server(Settings(data_dir=folder))


@pytest.fixture
def settings(tmp_path: Path, made: tuple[Path, str]) -> Settings:
    """Settings of a server with data."""
    shutil.copytree(made[0], tmp_path / "old")
    return Settings(data_dir=tmp_path / "old")


@pytest.fixture
def backup(tmp_path: Path, settings: Settings) -> Path:
    """Valid backup of the server."""
    back_up(settings, tmp_path / "backup")
    return tmp_path / "backup"


def test_backup_restores_database_files_and_secret(
    tmp_path: Path, settings: Settings, made: tuple[Path, str]
) -> None:
    folder = tmp_path / "backups" / "monday"
    copied = back_up(settings, folder)
    assert copied.files == len(FILES) and copied.has_secret and folder.stat().st_mode & 0o777 == 0o700
    shutil.rmtree(tmp_path / "old" / "files")
    new = Settings(data_dir=tmp_path / "new")
    assert restore(new, folder) == copied
    assert _tree(tmp_path / "new" / "files") == FILES
    assert _secrets(new) == [made[1]]
    assert _dump(tmp_path / "new" / "stemsplitter.db") == _dump(tmp_path / "old" / "stemsplitter.db")


def test_restore_keeps_modification_times(tmp_path: Path, settings: Settings, backup: Path) -> None:
    """The cleanup of files depends on their age."""
    restore(Settings(data_dir=tmp_path / "new"), backup)
    name = "files/splits/split_1/source.mp3"
    assert (tmp_path / "new" / name).stat().st_mtime_ns == (tmp_path / "old" / name).stat().st_mtime_ns


def test_custom_database_storage_and_secret_are_restored(tmp_path: Path) -> None:
    def settings(name: str) -> Settings:
        return Settings(
            data_dir=tmp_path / name,
            database_url=f"sqlite:///{tmp_path / name}-disk/my.db",
            storage_url=(tmp_path / f"{name} files").as_uri(),
            secret_key="k" * 32,
        )

    (tmp_path / "old-disk").mkdir()
    secret = _server(settings("old"))
    copied = back_up(settings("old"), tmp_path / "backup")
    assert not copied.has_secret and not (tmp_path / "backup" / "secret.key").exists()
    with pytest.raises(RequestError, match="has no secret key"):
        restore(Settings(data_dir=tmp_path / "new"), tmp_path / "backup")
    restore(settings("new"), tmp_path / "backup")
    assert _secrets(settings("new")) == [secret] and _tree(tmp_path / "new files") == FILES
    assert not (tmp_path / "new" / "secret.key").exists()


def test_backup_during_writes_is_consistent(tmp_path: Path, settings: Settings) -> None:
    """The copy is a snapshot: it contains no partial transaction."""
    stop, written, writes = threading.Event(), threading.Event(), 0

    def write() -> None:
        nonlocal writes
        database = sqlite3.connect(tmp_path / "old" / "stemsplitter.db", timeout=30, isolation_level=None)
        database.execute("CREATE TABLE pairs (side TEXT, number INT)")
        while not stop.is_set() and writes < 5000:
            database.execute("BEGIN IMMEDIATE")
            database.execute("INSERT INTO pairs VALUES ('left', ?)", (writes,))
            database.execute("INSERT INTO pairs VALUES ('right', ?)", (writes,))
            database.execute("COMMIT")
            writes += 1
            if writes == 20:
                written.set()
        database.close()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert written.wait(60)
        back_up(settings, tmp_path / "backup")
    finally:
        stop.set()
        thread.join()
    copy = sqlite3.connect(tmp_path / "backup" / "stemsplitter.db")
    pairs = copy.execute("SELECT number, count(*) FROM pairs GROUP BY number").fetchall()
    assert len(pairs) >= 20 and {count for _, count in pairs} == {2}
    assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    copy.close()


def test_file_deleted_during_backup_is_skipped(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copy2

    def copy_late(source: Path, target: Path) -> Any:
        if source.name == "vocals.wav":
            source.unlink()
        return copy(source, target)

    monkeypatch.setattr(shutil, "copy2", copy_late)
    assert back_up(settings, tmp_path / "backup").files == len(FILES) - 1


def test_partial_files_are_not_backed_up(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "old" / "files" / "splits" / ".stemsplitter-1.part").write_text("half")
    assert back_up(settings, tmp_path / "backup").files == len(FILES)


@pytest.mark.parametrize(
    "elsewhere",
    [{"database_url": "postgresql+psycopg://u:p@127.0.0.1:1/stems"}, {"storage_url": "s3://bucket"}],
    ids=["PostgreSQL", "S3"],
)
@pytest.mark.parametrize("command", [back_up, restore])
def test_postgresql_and_s3_are_refused(
    tmp_path: Path, elsewhere: dict[str, str], command: Callable[[Settings, Path], Any]
) -> None:
    with pytest.raises(RequestError, match=r"see docs/backup\.md for PostgreSQL and S3"):
        command(Settings(data_dir=tmp_path, **elsewhere), tmp_path / "backup")


def test_missing_database_or_existing_target_is_refused(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(RequestError, match="There is no database"):
        back_up(Settings(data_dir=tmp_path / "new"), tmp_path / "backup")
    assert not (tmp_path / "new").exists()
    (tmp_path / "backup").mkdir()
    with pytest.raises(RequestError, match="already exists"):
        back_up(settings, tmp_path / "backup")


def _full(_: object, target: Path) -> None:
    raise OSError(errno.ENOSPC, "no space", str(target))


def test_full_disk_leaves_no_partial_backup(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "copy2", _full)
    with pytest.raises(OutputError, match="the disk is full"):
        back_up(settings, tmp_path / "backup")
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


@pytest.mark.parametrize("file", ["vocals.wav", "secret.key", "stemsplitter.db"])
def test_full_disk_leaves_no_partial_restore(
    tmp_path: Path, backup: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    copy = shutil.copy2

    def full_at(source: Path, target: Path) -> Any:
        return _full(source, target) if source.name == file else copy(source, target)

    monkeypatch.setattr(shutil, "copy2", full_at)
    new = Settings(data_dir=tmp_path / "new")
    with pytest.raises(OutputError, match="the disk is full"):
        restore(new, backup)
    assert _tree(tmp_path / "new") == {}
    monkeypatch.undo()
    restore(new, backup)


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: (folder / "files/splits/split_1/source.mp3").write_bytes(b"sonG"),
        lambda folder: (folder / "files/uploads/u/1").unlink(),
        lambda folder: (folder / "stemsplitter.db").write_bytes(b""),
    ],
    ids=["altered", "gone", "database"],
)
def test_damaged_backup_is_refused(tmp_path: Path, backup: Path, harm: Callable[[Path], Any]) -> None:
    harm(backup)
    with pytest.raises(RequestError, match="is damaged"):
        restore(Settings(data_dir=tmp_path / "new"), backup)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "manifest",
    ["", "[]", "{}", '{"sha256": {}}', json.dumps({"sha256": {"stemsplitter.db": "", "files/../../x": ""}})],
)
def test_folder_without_valid_manifest_is_refused(tmp_path: Path, backup: Path, manifest: str) -> None:
    (backup / "manifest.json").write_text(manifest)
    with pytest.raises(RequestError, match="is not a backup"):
        restore(Settings(data_dir=tmp_path / "new"), backup)
    with pytest.raises(RequestError, match="is not a backup"):
        restore(Settings(data_dir=tmp_path / "new"), tmp_path / "nowhere")


@pytest.mark.parametrize("there", ["stemsplitter.db", "stemsplitter.db-wal", "files/splits", "secret.key"])
def test_restore_keeps_existing_data(tmp_path: Path, backup: Path, there: str) -> None:
    path = tmp_path / "new" / there
    path.parent.mkdir(parents=True)
    path.write_text("x" * 64)
    with pytest.raises(RequestError, match=r"already exists|a different secret key"):
        restore(Settings(data_dir=tmp_path / "new"), backup)
    assert _tree(tmp_path / "new") == {there: b"x" * 64}


def test_backup_and_restore_commands(tmp_path: Path, settings: Settings) -> None:
    folder = tmp_path / "backup"
    done = CliRunner().invoke(app, ["backup", str(folder), "--data-dir", str(tmp_path / "old")])
    assert done.stdout == f"{folder}\n" and done.stderr.startswith("Database and 3 files, ")
    done = CliRunner().invoke(app, ["restore", str(folder), "--data-dir", str(tmp_path / "new")])
    assert done.stdout == f"{tmp_path / 'new'}\n"
    assert _tree(tmp_path / "new" / "files") == FILES
