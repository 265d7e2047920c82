"""Atomic files: complete under their name, or absent."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stemsplitter.errors import OutputError
from stemsplitter.files import atomic
from stemsplitter.files.atomic import AtomicFile


@pytest.fixture(params=["anonymous", "named"])
def either_way(request, monkeypatch):
    """Run with O_TMPFILE and with hidden temporary files."""
    if request.param == "named":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    elif not hasattr(os, "O_TMPFILE"):
        pytest.skip("this system has no unnamed files")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_commit_names_the_file(tmp_path, either_way):
    with AtomicFile(tmp_path / "a.bin") as file:
        file.file.write(b"whole")
        assert not (tmp_path / "a.bin").exists()
        file.commit()
    assert names(tmp_path) == ["a.bin"]
    assert (tmp_path / "a.bin").read_bytes() == b"whole"


def test_commit_replaces_an_existing_file(tmp_path, either_way):
    (tmp_path / "a.bin").write_bytes(b"old")
    with AtomicFile(tmp_path / "a.bin") as file:
        file.file.write(b"new")
        file.commit()
    assert names(tmp_path) == ["a.bin"]
    assert (tmp_path / "a.bin").read_bytes() == b"new"


def test_exception_leaves_the_old_file_only(tmp_path, either_way):
    (tmp_path / "a.bin").write_bytes(b"old")
    with pytest.raises(KeyError), AtomicFile(tmp_path / "a.bin") as file:
        file.file.write(b"new" * 100_000)
        raise KeyError
    assert names(tmp_path) == ["a.bin"]
    assert (tmp_path / "a.bin").read_bytes() == b"old"


def test_name_of_maximum_length_is_replaced(tmp_path, either_way):
    path = tmp_path / ("n" * 255)
    path.write_bytes(b"old")
    with AtomicFile(path) as file:
        file.file.write(b"new")
        file.commit()
    assert names(tmp_path) == ["n" * 255] and path.read_bytes() == b"new"


def test_permissions_follow_the_umask(tmp_path, either_way):
    (tmp_path / "usual").write_bytes(b"")
    with AtomicFile(tmp_path / "pending") as file:
        file.commit()
    assert (tmp_path / "pending").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_name_over_the_maximum_is_refused(tmp_path, either_way):
    with pytest.raises(OutputError, match="name is too long"):
        AtomicFile(tmp_path / ("n" * 256))
    assert names(tmp_path) == []


def test_missing_folder_is_refused(tmp_path, either_way):
    with pytest.raises(OutputError, match="folder does not exist"):
        AtomicFile(tmp_path / "gone" / "a.bin")


def test_file_in_place_of_the_folder_is_refused(tmp_path, either_way):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="its folder is a file"):
        AtomicFile(tmp_path / "file" / "a.bin")


def test_folder_of_the_same_name_is_refused(tmp_path, either_way):
    (tmp_path / "a.bin").mkdir()
    with pytest.raises(OutputError, match="a folder of that name is in the way"):
        AtomicFile(tmp_path / "a.bin")
    assert names(tmp_path) == ["a.bin"]


def test_full_disk_at_commit_leaves_nothing(tmp_path, either_way, file_size_limit):
    with AtomicFile(tmp_path / "a.bin") as file, file_size_limit(1000):
        file.file.write(b"x" * 5000)  # stays in the buffer
        with pytest.raises(OutputError, match="would be larger than is allowed"):
            file.commit()
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("code", "words"), [("ENOSPC", "disk is full"), ("EACCES", "not permitted"), ("EROFS", "read-only")]
)
def test_message_gives_the_reason(code, words):
    error = OSError(getattr(atomic.errno, code), "x")
    message = str(atomic.output_error(Path("/a/stem.wav"), error))
    assert message.startswith("stem.wav cannot be written because") and words in message


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="this system has no unnamed files")
def test_killed_process_leaves_nothing(tmp_path):
    program = (
        "import sys; from pathlib import Path; from stemsplitter.files.atomic import AtomicFile\n"
        "file = AtomicFile(Path(sys.argv[1])); file.file.write(bytes(5_000_000)); file.file.flush()\n"
        "print('ready', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, tmp_path / "a.bin"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGKILL)
        assert process.wait(30) == -signal.SIGKILL
    assert names(tmp_path) == []


def test_durable_commit_returns_the_size_and_recreates_the_folder(tmp_path, either_way):
    """A folder that contains only an unnamed file can be removed by others."""
    (tmp_path / "new").mkdir()
    with AtomicFile(tmp_path / "new" / "a.bin", durable=True) as file:
        file.file.write(b"whole")
        with contextlib.suppress(OSError):
            (tmp_path / "new").rmdir()
        assert file.commit() == 5
    assert (tmp_path / "new" / "a.bin").read_bytes() == b"whole"


def test_resumed_file_continues_after_an_exception(tmp_path):
    with pytest.raises(KeyError), AtomicFile(tmp_path / "a.bin", resume=True) as file:
        file.file.write(b"who")
        raise KeyError
    assert names(tmp_path) == ["a.bin.part"]
    with AtomicFile(tmp_path / "a.bin", resume=True) as file:
        file.file.write(b"le")
        file.commit()
    assert names(tmp_path) == ["a.bin"] and (tmp_path / "a.bin").read_bytes() == b"whole"
