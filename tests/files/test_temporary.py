"""Temporary folders of killed processes are removed, those of others are not."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from stemsplitter.files.temporary import remove_abandoned, temporary_folder

PROGRAM = """
import time
from stemsplitter.files.temporary import temporary_folder
with temporary_folder() as folder:
    (folder / "song.wav").write_text("half")
    print(folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def age(folder: Path) -> None:
    an_hour_ago = time.time() - 3600
    os.utime(folder, (an_hour_ago, an_hour_ago))


def test_low_folder_of_a_killed_process_is_removed_while_others_run(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        killed = Path(process.stdout.readline().strip())
        age(killed.parent)
        assert remove_abandoned() == 0
        process.send_signal(signal.SIGKILL)
    with temporary_folder() as ours:
        age(ours.parent)
        assert remove_abandoned() == 1
        assert not killed.exists() and ours.is_dir()
    assert list(tmp_path.iterdir()) == []


def test_new_folder_is_kept(tmp_path: Path) -> None:
    new = tmp_path / "stemsplitter-work-new"
    new.mkdir()
    assert remove_abandoned() == 0
    age(new)
    assert remove_abandoned() == 1


def test_foreign_and_linked_folders_are_kept(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "stemsplitter-work-link").symlink_to(tmp_path / "notes")
    (tmp_path / "stemsplitter-work-file").touch()
    for path in tmp_path.iterdir():
        os.utime(path, (0, 0), follow_symlinks=False)
    assert remove_abandoned() == 0
    assert len(list(tmp_path.iterdir())) == 3
