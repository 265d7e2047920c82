"""Atomic files with a known SHA-256."""

import errno
import hashlib
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace

import pytest

from stemsplitter.errors import ModelError
from stemsplitter.files import verified
from stemsplitter.files.verified import PartFile, disk_errors, file_lock, hash_file, require_space

DATA = bytes(range(256)) * 40
FileSizeLimit = Callable[[int], AbstractContextManager[None]]
SHA256 = hashlib.sha256(DATA).hexdigest()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def part(folder: Path, resume: bool = False) -> PartFile:
    return PartFile(folder / "file", len(DATA), SHA256, resume)


def test_expected_bytes_get_the_name(tmp_path: Path) -> None:
    with part(tmp_path / "new") as file:
        file.write(DATA[:1000])
        assert not file.is_right()
        file.write(DATA[1000:])
        file.commit()
    assert (tmp_path / "new" / "file").read_bytes() == DATA
    assert names(tmp_path / "new") == ["file"]


@pytest.mark.parametrize("data", [DATA[:-1], DATA + b"x", b"y" + DATA[1:]])
@pytest.mark.parametrize("resume", [False, True])
def test_other_bytes_are_deleted_and_the_old_file_stays(tmp_path: Path, data: bytes, resume: bool) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(ModelError, match="not the expected file"), part(tmp_path, resume) as file:
        file.write(data)
        file.commit()
    assert names(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


@pytest.mark.parametrize("resume", [False, True])
def test_exception_leaves_only_a_resumable_part(tmp_path: Path, resume: bool) -> None:
    with pytest.raises(KeyboardInterrupt), part(tmp_path, resume) as file:
        file.write(DATA[:1000])
        raise KeyboardInterrupt
    assert names(tmp_path) == (["file.part"] if resume else [])
    with part(tmp_path, resume) as file:
        assert file.done == (1000 if resume else 0)
        file.write(DATA[file.done :])
        file.commit()
    assert (tmp_path / "file").read_bytes() == DATA


def test_part_over_the_expected_size_is_restarted(tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(DATA + b"more")
    with part(tmp_path, resume=True) as file:
        assert file.done == 0
        file.write(DATA)
        file.commit()
    assert (tmp_path / "file").read_bytes() == DATA


@pytest.mark.parametrize("resume", [False, True])
def test_full_disk_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file_size_limit: FileSizeLimit, resume: bool
) -> None:
    monkeypatch.setattr(verified, "_FULL", (errno.EFBIG,))
    with (
        pytest.raises(ModelError, match="no space left"),
        part(tmp_path, resume) as file,
        file_size_limit(1000),
    ):
        file.write(DATA)
        file.commit()
    assert names(tmp_path) == []


def test_folder_that_cannot_be_created_raises_model_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"")
    with pytest.raises(ModelError, match="cannot be written"), part(tmp_path / "taken"):
        pass
    with pytest.raises(ModelError, match="STEMSPLITTER_CACHE_DIR"), disk_errors(tmp_path):
        raise PermissionError(13, "Permission denied")


def test_require_space_creates_the_folder_and_refuses_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_space(tmp_path / "made", 1)
    assert (tmp_path / "made").is_dir()
    with pytest.raises(ModelError, match=r"has [\d.]+ [kMG]B of space and 1000000 TB are needed"):
        require_space(tmp_path, 10**18)


def test_hash_file_is_sha256(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(DATA)
    assert hash_file(tmp_path / "x") == SHA256


def test_second_thread_waits_for_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    waits = threading.Event()

    def sleep(seconds: float) -> None:
        waits.set()
        time.sleep(seconds)

    monkeypatch.setattr(verified, "time", SimpleNamespace(monotonic=time.monotonic, sleep=sleep))

    def second() -> None:
        with file_lock(tmp_path / "lock"):
            order.append("second")

    with file_lock(tmp_path / "lock"):
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(60)
        order.append("first")
    thread.join(timeout=60)
    assert order == ["first", "second"]


def test_lock_that_stays_held_raises_model_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verified, "_LOCK_TIMEOUT_S", 0.2)
    with (
        file_lock(tmp_path / "lock"),
        pytest.raises(ModelError, match="Another process"),
        file_lock(tmp_path / "lock"),
    ):
        pass
