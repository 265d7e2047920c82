"""Files that appear whole or not at all."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stemsplitter.errors import OutputError
from stemsplitter.files import pending
from stemsplitter.files.pending import PendingFile


@pytest.fixture(params=["anonymous", "named"])
def either_way(request, monkeypatch):
    """With and without the system's unnamed files."""
    if request.param == "named":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    elif not hasattr(os, "O_TMPFILE"):
        pytest.skip("this system has no unnamed files")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_commit_names_the_file(tmp_path, either_way):
    with PendingFile(tmp_path / "a.bin") as file:
        file.file.write(b"whole")
        assert not (tmp_path / "a.bin").exists()
        file.commit()
    assert names(tmp_path) == ["a.bin"]
    assert (tmp_path / "a.bin").read_bytes() == b"whole"


def test_commit_replaces(tmp_path, either_way):
    (tmp_path / "a.bin").write_bytes(b"old")
    with PendingFile(tmp_path / "a.bin") as file:
        file.file.write(b"new")
        file.commit()
    assert names(tmp_path) == ["a.bin"]
    assert (tmp_path / "a.bin").read_bytes() == b"new"


def test_without_commit_nothing_stays(tmp_path, either_way):
    (tmp_path / "a.bin").write_bytes(b"old")
    with pytest.raises(KeyError), PendingFile(tmp_path / "a.bin") as file:
        file.file.write(b"new" * 100_000)
        raise KeyError
    assert names(tmp_path) == ["a.bin"]
    assert (tmp_path / "a.bin").read_bytes() == b"old"


def test_the_longest_name(tmp_path, either_way):
    path = tmp_path / ("n" * 255)
    path.write_bytes(b"old")
    with PendingFile(path) as file:
        file.file.write(b"new")
        file.commit()
    assert names(tmp_path) == ["n" * 255] and path.read_bytes() == b"new"


def test_usual_permissions(tmp_path, either_way):
    (tmp_path / "usual").write_bytes(b"")
    with PendingFile(tmp_path / "pending") as file:
        file.commit()
    assert (tmp_path / "pending").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_too_long_a_name(tmp_path, either_way):
    with pytest.raises(OutputError, match="name is too long"):
        PendingFile(tmp_path / ("n" * 256))
    assert names(tmp_path) == []


def test_missing_folder(tmp_path, either_way):
    with pytest.raises(OutputError, match="folder does not exist"):
        PendingFile(tmp_path / "gone" / "a.bin")


def test_folder_is_a_file(tmp_path, either_way):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="its folder is a file"):
        PendingFile(tmp_path / "file" / "a.bin")


def test_a_folder_of_that_name(tmp_path, either_way):
    (tmp_path / "a.bin").mkdir()
    with pytest.raises(OutputError, match="a folder of that name is in the way"):
        PendingFile(tmp_path / "a.bin")
    assert names(tmp_path) == ["a.bin"]


def test_a_full_disk_at_the_last_moment(tmp_path, either_way, file_size_limit):
    with PendingFile(tmp_path / "a.bin") as file, file_size_limit(1000):
        file.file.write(b"x" * 5000)  # stays in the buffer
        with pytest.raises(OutputError, match="would be larger than is allowed"):
            file.commit()
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("code", "words"), [("ENOSPC", "disk is full"), ("EACCES", "not permitted"), ("EROFS", "read-only")]
)
def test_reasons_are_told(code, words):
    error = OSError(getattr(pending.errno, code), "x")
    message = str(pending.output_error(Path("/a/stem.wav"), error))
    assert message.startswith("stem.wav cannot be written because") and words in message


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="this system has no unnamed files")
def test_a_killed_process_leaves_nothing(tmp_path):
    program = (
        "import sys; from pathlib import Path; from stemsplitter.files.pending import PendingFile\n"
        "file = PendingFile(Path(sys.argv[1])); file.file.write(bytes(5_000_000)); file.file.flush()\n"
        "print('ready', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, tmp_path / "a.bin"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGKILL)
        assert process.wait(30) == -signal.SIGKILL
    assert names(tmp_path) == []
