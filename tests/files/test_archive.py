"""ZIP archives of finished files."""

import os
import zipfile

import pytest

from stemsplitter.errors import OutputError
from stemsplitter.files.archive import write_zip


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / name for name in ("vocals.wav", "Größe 🎸.mp3")]
    for number, path in enumerate(paths):
        path.write_bytes(os.urandom(100_000) + bytes([number]))
    return paths


def test_files_are_stored_uncompressed(tmp_path, files):
    write_zip(tmp_path / "song.zip", files)
    with zipfile.ZipFile(tmp_path / "song.zip") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [path.name for path in files]
        for path in files:
            assert archive.read(path.name) == path.read_bytes()
            assert archive.getinfo(path.name).compress_type == zipfile.ZIP_STORED


def test_large_files_use_zip64(tmp_path, files, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 50_000)
    write_zip(tmp_path / "song.zip", files)
    data = (tmp_path / "song.zip").read_bytes()
    assert b"PK\x06\x06" in data  # the ZIP64 end record
    with zipfile.ZipFile(tmp_path / "song.zip") as archive:
        assert archive.testzip() is None and len(archive.namelist()) == 2


def test_missing_file_is_refused(tmp_path, files):
    with pytest.raises(OutputError, match=r"gone\.wav cannot be put into the zip"):
        write_zip(tmp_path / "song.zip", [*files, tmp_path / "gone.wav"])
    assert not (tmp_path / "song.zip").exists()


def test_two_files_of_one_name_are_refused(tmp_path, files):
    with pytest.raises(OutputError, match="two files of one name"):
        write_zip(tmp_path / "song.zip", [files[0], tmp_path / "other" / files[0].name])


def test_full_disk_keeps_the_old_zip(tmp_path, files, file_size_limit):
    (tmp_path / "song.zip").write_text("old")
    with file_size_limit(150_000), pytest.raises(OutputError, match=r"song\.zip cannot be written because"):
        write_zip(tmp_path / "song.zip", files)
    assert (tmp_path / "song.zip").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["song.zip", *(path.name for path in files)]
    )


def test_file_before_1980_with_a_name_that_is_not_utf8_is_stored(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.wav")
    try:
        path.write_bytes(b"x")
    except OSError:
        pytest.skip("this file system accepts UTF-8 names only")
    os.utime(path, (0, 0))
    write_zip(tmp_path / "song.zip", [path])
    with zipfile.ZipFile(tmp_path / "song.zip") as archive:
        assert archive.namelist() == ["caf\ufffd.wav"]
