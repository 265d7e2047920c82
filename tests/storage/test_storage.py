import os
import signal
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from stemsplitter.errors import SettingsError
from stemsplitter.storage import FileMissing, Storage, StorageError
from stemsplitter.storage.writers import PART_BYTES

DATA = bytes(range(256)) * 10_000
KEY = "splits/split_1/vocals.mp3"
BAD_KEYS = [
    "",
    "/a",
    "a/",
    "a//b",
    "../a",
    "a/../b",
    "a/./b",
    ".",
    "a/..",
    "a\\b",
    "a b",
    "a\0",
    "é",
    "a#1",
    "-a",
    ".a",
]


def keys(storage: Storage, prefix: str = "") -> list[str]:
    return sorted(stored.key for stored in storage.list_prefix(prefix))


def read(storage: Storage, key: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join(storage.read(key, start, end))


def test_file_is_stored_and_read(storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(DATA)
    assert storage.put_file(KEY, tmp_path / "a.mp3", "audio/mpeg", "vocals.mp3") == len(DATA)
    assert storage.size(KEY) == len(DATA)
    assert read(storage, KEY) == DATA
    with storage.local_file(KEY) as path:
        assert path.read_bytes() == DATA
        assert path.suffix == ".mp3"


@pytest.mark.parametrize(
    ("start", "end"), [(0, 1), (5, 10), (100, None), (0, 10**9), (len(DATA) - 1, None), (5, 5), (10**9, None)]
)
def test_range_is_read(start: int, end: int | None, storage: Storage) -> None:
    storage.put_stream(KEY, [DATA], "audio/mpeg")
    assert read(storage, KEY, start, end) == DATA[start:end]


def test_later_file_replaces_an_earlier_one(storage: Storage) -> None:
    storage.put_stream(KEY, [b"first, which is longer"], "audio/mpeg")
    assert storage.put_stream(KEY, [b"sec", b"", b"ond"], "audio/mpeg") == 6
    assert read(storage, KEY) == b"second"


def test_empty_file_is_stored(storage: Storage) -> None:
    assert storage.put_stream(KEY, [], "audio/mpeg") == 0
    assert read(storage, KEY) == b""


def test_failed_write_changes_nothing(storage: Storage) -> None:
    def cut() -> Iterator[bytes]:
        yield DATA
        assert keys(storage) == ["a"]
        raise ConnectionResetError("cut")

    storage.put_stream("a", [b"before"], "audio/mpeg")
    for key in ("a", KEY):
        with pytest.raises(ConnectionResetError):
            storage.put_stream(key, cut(), "audio/mpeg")
    assert keys(storage) == ["a"]
    assert read(storage, "a") == b"before"


def test_uncommitted_file_is_discarded(storage: Storage) -> None:
    with storage.writer(KEY, "audio/mpeg") as file:
        file.write(DATA)
    assert keys(storage) == []


def test_missing_file_is_reported(storage: Storage) -> None:
    for use in (
        storage.size,
        lambda key: read(storage, key),
        lambda key: storage.local_file(key).__enter__(),
    ):
        with pytest.raises(FileMissing, match=r"^There is no stored file splits/split_1/vocals\.mp3: .*\.$"):
            use(KEY)
    storage.delete(KEY)


@pytest.mark.parametrize("key", BAD_KEYS)
def test_invalid_key_is_refused(key: str, storage: Storage) -> None:
    uses = [
        storage.size,
        storage.delete,
        lambda key: storage.put_stream(key, [b"x"], ""),
        storage.delete_prefix,
    ]
    uses += [
        lambda key: storage.signed_url(key, "a", "", 60),
        lambda key: storage.local_file(key).__enter__(),
    ]
    for use in uses:
        if key or use != storage.delete_prefix:
            with pytest.raises(ValueError, match="no key"):
                use(key)


def test_folder_is_listed_and_deleted(storage: Storage) -> None:
    for key in ("splits/split_1/a.mp3", "splits/split_1/deep/b.mp3", "splits/split_11/a.mp3", "c"):
        storage.put_stream(key, [b"12345"], "audio/mpeg")
    stored = {found.key: found for found in storage.list_prefix("splits/split_1")}
    assert sorted(stored) == ["splits/split_1/a.mp3", "splits/split_1/deep/b.mp3"]
    assert stored["splits/split_1/a.mp3"].size == 5
    assert abs(stored["splits/split_1/a.mp3"].modified - datetime.now(UTC)) < timedelta(minutes=1)
    assert storage.delete_prefix("splits/split_1") == 2
    assert storage.delete_prefix("splits/split_1") == 0
    assert keys(storage) == ["c", "splits/split_11/a.mp3"]
    storage.delete("c")
    assert keys(storage) == ["splits/split_11/a.mp3"]


def test_deleted_folder_leaves_nothing(folder_storage: Storage, tmp_path: Path) -> None:
    folder_storage.put_stream("splits/split_1/deep/b.mp3", [b"1"], "audio/mpeg")
    folder_storage.delete_prefix("splits/split_1")
    assert list((tmp_path / "files" / "splits").iterdir()) == []


def test_empty_folders_of_a_deleted_file_are_removed(folder_storage: Storage, tmp_path: Path) -> None:
    for key in ("splits/split_1/stems/a.mp3", "splits/split_1/stems/b.mp3", "splits/split_1/source"):
        folder_storage.put_stream(key, [b"1"], "audio/mpeg")
    folders = []
    for key in ("splits/split_1/stems/a.mp3", "splits/split_1/stems/b.mp3", "splits/split_1/source"):
        folder_storage.delete(key)
        folders.append(sorted(path.name for path in (tmp_path / "files").rglob("*") if path.is_dir()))
    assert folders == [["split_1", "splits", "stems"], ["split_1", "splits"], ["splits"]]


def test_commit_succeeds_after_its_folder_was_removed(folder_storage: Storage) -> None:
    folder_storage.put_stream("uploads/upl_1/1.mp3", [b"1"], "audio/mpeg")
    with folder_storage.writer("uploads/upl_1/2.mp3", "audio/mpeg") as file:
        file.write(b"2")
        folder_storage.delete("uploads/upl_1/1.mp3")
        file.commit()
    assert read(folder_storage, "uploads/upl_1/2.mp3") == b"2"


def test_killed_writer_leaves_no_file(folder_storage: Storage, tmp_path: Path) -> None:
    program = """if True:
        import sys, time
        from stemsplitter.storage import Storage
        file = Storage(sys.argv[1], b"k", "").writer("a/b.mp3", "audio/mpeg")
        file.write(b"x" * 5_000_000)
        print("written", flush=True)
        time.sleep(60)
    """
    command = [sys.executable, "-c", program, (tmp_path / "files").as_uri()]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"written\n"
        os.kill(writer.pid, signal.SIGKILL)
    assert [path for path in (tmp_path / "files").rglob("*") if path.is_file()] == []


def test_files_are_streamed(storage: Storage) -> None:
    size = 64 << 20
    tracemalloc.start()
    try:
        storage.put_stream(KEY, (b"x" * (1 << 20) for _ in range(size >> 20)), "audio/wav")
        assert sum(len(part) for part in storage.read(KEY)) == size
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * PART_BYTES


def test_concurrent_writers_leave_one_complete_file(folder_storage: Storage) -> None:
    def write(letter: bytes) -> None:
        folder_storage.put_stream(KEY, [letter * 100_000] * 10, "audio/mpeg")

    threads = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b", b"c", b"d")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    data = read(folder_storage, KEY)
    assert len(data) == 1_000_000 and len(set(data)) == 1
    assert keys(folder_storage) == [KEY]


def test_write_error_is_reported_in_one_sentence(folder_storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "files" / "splits").write_text("in the way")
    with pytest.raises(StorageError, match=r"^The file cannot be stored: .*\.$") as caught:
        folder_storage.put_stream(KEY, [b"x"], "audio/mpeg")
    assert caught.value.__cause__ is not None


def test_check_accepts_an_available_store(storage: Storage) -> None:
    storage.check()


def test_s3_store_with_wrong_credentials_is_reported(
    s3_storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    storage = Storage("s3://stems", b"k", "")
    with pytest.raises(StorageError, match="does not answer"):
        storage.check()
    with pytest.raises(StorageError, match="does not answer"):
        storage.put_stream(KEY, [b"x"], "audio/mpeg")


@pytest.mark.parametrize(
    "url", ["", "files", "/files", "file://host/a", "http://a/b", "s3://", "gs://a", "memory:///"]
)
def test_unsupported_urls_are_refused(url: str) -> None:
    with pytest.raises(SettingsError, match=r"must be file:///FOLDER or s3://BUCKET\.$"):
        Storage(url, b"k", "")


def test_folder_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot be made"):
        Storage((tmp_path / "file" / "folder").as_uri(), b"k", "")


def test_link_to_a_folder_is_served_by_this_server(folder_storage: Storage) -> None:
    url = folder_storage.signed_url(KEY, "söng.mp3", "audio/mpeg", 60)
    assert url.startswith("http://127.0.0.1:8000/files/") and url.endswith("/s%C3%B6ng.mp3")


def test_link_to_s3_works_without_credentials(s3_storage: Storage) -> None:
    s3_storage.put_stream(KEY, [DATA], "audio/mpeg", "söng.mp3")
    url = s3_storage.signed_url(KEY, "söng.mp3", "audio/mpeg", 3600)
    with httpx.Client(trust_env=False, timeout=60) as client:
        answer = client.get(url)
        part = client.get(url, headers={"Range": "bytes=5-9"})
        assert client.get(url.replace("X-Amz-Signature=", "X-Amz-Signature=0")).status_code == 403
        assert client.get(url.partition("?")[0]).status_code == 403
    assert answer.content == DATA
    assert answer.headers["Content-Type"] == "audio/mpeg"
    assert answer.headers["Content-Disposition"].endswith("filename*=UTF-8''s%C3%B6ng.mp3")
    assert (part.status_code, part.content) == (206, DATA[5:10])


def test_link_longer_than_s3_allows_is_served_by_this_server(
    s3_storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = ("splits/split_1/vocals.mp3", "a.mp3", "audio/mpeg")
    assert "X-Amz-Expires=604800&" in s3_storage.signed_url(*link, 7 * 86_400)
    assert s3_storage.signed_url(*link, 7 * 86_400 + 1).startswith("http://127.0.0.1:8000/files/")
    assert "X-Amz-Expires=604800&" in (s3_storage.direct_url(*link, 10**8) or "")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a role's, with which links end")
    of_a_role = Storage("s3://stems", b"k" * 32, "http://127.0.0.1:8000")
    assert of_a_role.signed_url(*link, 60).startswith("http://127.0.0.1:8000/files/")
    assert "X-Amz-Security-Token=" in (of_a_role.direct_url(*link, 60) or "")


def test_file_is_copied(storage: Storage) -> None:
    storage.put_stream(KEY, [DATA], "audio/mpeg")
    assert storage.copy(KEY, "splits/split_2/source.mp3") == len(DATA)
    storage.put_stream(KEY, [b"other"], "audio/mpeg")
    assert read(storage, "splits/split_2/source.mp3") == DATA
    with pytest.raises(FileMissing, match="no stored file splits/split_3/a"):
        storage.copy("splits/split_3/a", "b")
    with pytest.raises(ValueError, match="no key"):
        storage.copy(KEY, "../b")


def test_only_a_bucket_accepts_direct_uploads(folder_storage: Storage, s3_storage: Storage) -> None:
    assert folder_storage.upload_url(KEY, "audio/mpeg", 5, 60) is None
    assert folder_storage.direct_url(KEY, "a.mp3", "audio/mpeg", 60) is None
    assert folder_storage.public_origin is None
    assert s3_storage.upload_url(KEY, "audio/mpeg", 5 << 30, 60) is not None
    assert s3_storage.upload_url(KEY, "audio/mpeg", (5 << 30) + 1, 60) is None


def test_upload_url_is_bound_to_key_type_and_length(s3_storage: Storage) -> None:
    url = s3_storage.upload_url(KEY, "audio/mpeg", 5, 60) or ""
    right = {"Content-Type": "audio/mpeg"}
    with httpx.Client(trust_env=False, timeout=60) as client:
        assert client.put(url, content=b"12345", headers={"Content-Type": "text/html"}).status_code == 403
        assert client.put(url, content=b"12345").status_code == 403
        assert client.put(url, content=b"123456", headers=right).status_code == 403
        assert (
            client.put(url.replace("split_1", "split_2"), content=b"12345", headers=right).status_code == 403
        )
        assert client.get(url).status_code == 403
        assert keys(s3_storage) == []
        assert client.put(url, content=b"12345", headers=right).status_code == 200
    assert read(s3_storage, KEY) == b"12345"


def test_incomplete_multipart_uploads_are_aborted(s3_storage: Storage, folder_storage: Storage) -> None:
    bucket = s3_storage._bucket
    assert bucket is not None
    bucket._api.create_multipart_upload(Bucket="stems", Key="uploads/upl_1/1.mp3")
    assert s3_storage.abort_writes() == 0  # it may still be written
    assert bucket.abort_writes(datetime.now(UTC) + timedelta(minutes=1)) == 1
    assert bucket.abort_writes(datetime.now(UTC) + timedelta(minutes=1)) == 0
    assert folder_storage.abort_writes() == 0


def test_usage_counts_files_and_bytes(storage: Storage) -> None:
    for key, size in (("splits/split_1/a.mp3", 10), ("splits/split_2/a.mp3", 5), ("uploads/upl_1", 3)):
        storage.put_stream(key, [b"x" * size], "audio/mpeg")
    usage = storage.usage(60)
    assert usage.folders == {"splits": (2, 15), "uploads": (1, 3)} and usage.is_whole
    assert (usage.free is None) != storage.is_folder
    in_no_time = storage.usage(-1)
    assert not in_no_time.is_whole and sum(files for files, _ in in_no_time.folders.values()) == 1
