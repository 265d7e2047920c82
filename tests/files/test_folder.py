"""Output folders: created, locked, and removed."""

import os
import subprocess
import sys

import pytest

from stemsplitter.errors import OutputError
from stemsplitter.files.folder import OutputFolder


def test_missing_folder_is_created_and_kept(tmp_path):
    folder = OutputFolder(tmp_path / "a" / "b")
    folder.release(keep=True)
    assert (tmp_path / "a" / "b").is_dir()
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_created_folder_is_removed_without_keep(tmp_path):
    OutputFolder(tmp_path / "a" / "b").release(keep=False)
    assert list(tmp_path.iterdir()) == []


def test_existing_folder_and_foreign_files_are_kept(tmp_path):
    (tmp_path / "there").mkdir()
    OutputFolder(tmp_path / "there").release(keep=False)
    assert (tmp_path / "there").is_dir()
    folder = OutputFolder(tmp_path / "new")
    (tmp_path / "new" / "note.txt").write_text("mine")
    folder.release(keep=False)
    assert (tmp_path / "new" / "note.txt").read_text() == "mine"


def test_c_next_run_removes_what_a_killed_run_left(tmp_path):
    for name in ("0123456789abcdef", "fedcba9876543210"):
        (tmp_path / f".stemsplitter-{name}").mkdir()
        (tmp_path / f".stemsplitter-{name}" / "vocals.wav").write_text("half")
    (tmp_path / ".stemsplitter-0123456789abcdef.part").write_text("half")
    (tmp_path / ".stemsplitter-notes").write_text("mine")
    OutputFolder(tmp_path).release(keep=True)
    assert [path.name for path in tmp_path.iterdir()] == [".stemsplitter-notes"]


def test_second_run_is_refused_until_release(tmp_path):
    first = OutputFolder(tmp_path / "out")
    with pytest.raises(OutputError, match="Another run is writing into out"):
        OutputFolder(tmp_path / "out")
    assert (tmp_path / "out").is_dir()
    first.release(keep=True)
    OutputFolder(tmp_path / "out").release(keep=True)
    assert list((tmp_path / "out").iterdir()) == []


def test_lock_excludes_other_processes_and_ends_with_a_killed_one(tmp_path):
    program = (
        "import sys; from pathlib import Path; from stemsplitter.files.folder import OutputFolder\n"
        "folder = OutputFolder(Path(sys.argv[1])); print('ready', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        with pytest.raises(OutputError, match="Another run"):
            OutputFolder(tmp_path)
        process.kill()
        process.wait(30)
    OutputFolder(tmp_path).release(keep=True)


def test_file_in_place_of_a_folder_is_refused(tmp_path):
    (tmp_path / "out").touch()
    for path in (tmp_path / "out", tmp_path / "out" / "deeper"):
        with pytest.raises(OutputError, match="is a file"):
            OutputFolder(path)


@pytest.mark.parametrize("missing", ["", "new"])
def test_folder_that_is_not_writable_is_refused(tmp_path, monkeypatch, missing):
    if os.geteuid() == 0:
        monkeypatch.setattr(os, "access", lambda *_args: False)
    else:
        tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="not permitted"):
            OutputFolder(tmp_path / missing)
        assert list(tmp_path.iterdir()) == []
    finally:
        tmp_path.chmod(0o700)


def test_name_over_the_maximum_is_refused(tmp_path):
    with pytest.raises(OutputError, match="name is too long"):
        OutputFolder(tmp_path / "a" / ("n" * 300))
    assert list(tmp_path.iterdir()) == []
