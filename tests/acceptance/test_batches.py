"""Batches: folders, songs with the same name, invalid songs among valid ones, and unusual file names."""

import os
from pathlib import Path

import pytest

from stemsplitter.separation.layouts import SIX_STEMS

from .command import Command
from .songs import encode, sung


@pytest.fixture
def short(tmp_path: Path) -> bytes:
    """Content of a song of half a second."""
    return encode(tmp_path / "short.wav", sung(22_050), 44_100, "pcm_s16le").read_bytes()


def fill(folder: Path, data: bytes, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def test_batch_continues_after_failed_songs(command: Command, tmp_path: Path, short: bytes) -> None:
    fill(
        tmp_path,
        short,
        "album/1.wav",
        "album/b/1.wav",
        "album/b/2.wav",
        "album/b/1.aiff",
        "album/b/3.WAV",
        "album/c/1.wav",
        "other.wav",
    )
    fill(tmp_path, short, "album/.hidden/no.wav", "album/b/._1.wav", "album/stems/old/vocals.wav")
    fill(tmp_path, b"only text", "album/b/0 bad.mp3", "album/cover.jpg")
    (tmp_path / "album" / "empty").mkdir()
    done = command(
        "split", "album", "missing.flac", "album/empty", "album/1.wav", "other.wav", "-o", "album/stems"
    )
    assert done.code == 1
    stems = tmp_path / "album" / "stems"
    written = {str(path.parent.relative_to(stems)) for path in stems.rglob("vocals.wav")}
    assert written == {"1", "b/1", "b/1.wav", "b/2", "b/3", "c/1", "old", "other"}
    errors = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 3
    for line, words in zip(
        errors, ["0 bad.mp3 is not audio", "no file missing.flac", "empty contains no songs"], strict=True
    ):
        assert words in line
    assert done.out.splitlines()[-1] == "7 of 10 songs separated, 3 failed."
    assert "5/10 2.wav" in done.err


def test_json_reports_each_song(command: Command, tmp_path: Path, short: bytes) -> None:
    fill(tmp_path, short, "a.wav", "c.wav")
    fill(tmp_path, b"", "b.wav")
    done = command("split", "a.wav", "b.wav", "c.wav", "--json", "--format", "flac")
    assert (done.code, done.err) == (1, "")
    told = [(event["event"], event.get("song")) for event in done.events if event["event"] != "progress"]
    assert told == [
        *(("started", "a.wav"), ("separated", "a.wav")),
        *(("started", "b.wav"), ("failed", "b.wav")),
        *(("started", "c.wav"), ("separated", "c.wav")),
        ("finished", None),
    ]
    assert done.named("failed")["b.wav"]["error"] == "b.wav is empty (0 bytes): copy or download it again."
    assert done.events[-1] == {"event": "finished", "separated": 2, "skipped": 0, "failed": 1}


NAMES = {
    "emoji 🎸 and מוזיקה.wav": "emoji 🎸 and מוזיקה",
    "new\nline\tand tab.wav": "new\nline\tand tab",
    "-leading dash.wav": "-leading dash",
    "..wav": "..wav",
    "...wav": "...wav",
    "no ending": "no ending",
    "two.dots.wav": "two.dots",
    "x" * 251 + ".wav": "x" * 251,
    "y" * 255: "y" * 255,
    os.fsdecode(b"not utf-8 \xff\xfe.wav"): os.fsdecode(b"not utf-8 \xff\xfe"),
    '"quotes" & $(echo) `echo` %s {0} \\.wav': '"quotes" & $(echo) `echo` %s {0} \\',
}


def test_any_file_name_is_separated(command: Command, tmp_path: Path, short: bytes) -> None:
    (tmp_path / "short.wav").unlink()
    try:
        fill(tmp_path, short, *NAMES)
    except OSError as error:
        pytest.skip(f"The file system does not support these names: {error}")
    done = command("split", "--json", "--", *NAMES)
    assert (done.code, done.err) == (0, "")
    told = {event["song"]: event for event in done.events if event["event"] == "separated"}
    for name, folder in NAMES.items():
        assert told[name]["files"] == [f"stems/{folder}/{stem}.wav" for stem in SIX_STEMS]
        assert all((tmp_path / path).is_file() for path in told[name]["files"])
    assert {path.name for path in (tmp_path / "stems").iterdir()} == set(NAMES.values())
    assert {path.name for path in tmp_path.iterdir()} == {*NAMES, "stems"}


@pytest.mark.parametrize("name", ["y" * 255, "x" * 251 + ".wav"])
def test_longest_names_fit_in_zip_name(name: str, command: Command, tmp_path: Path, short: bytes) -> None:
    fill(tmp_path, short, name)
    done = command("split", name, "--zip", "-o", "out")
    assert done.code == 0
    (archive,) = (path for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert archive.suffix == ".zip" and len(os.fsencode(archive.name)) == 255


def test_control_characters_in_names_are_not_printed(command: Command, tmp_path: Path, short: bytes) -> None:
    name = os.fsdecode(b"a\nb\x1b[31m\xff.wav")
    fill(tmp_path, short, name)
    done = command("split", name)
    assert done.code == 0
    assert done.out.splitlines()[0].startswith("a�b�[31m�.wav: 0.5 s of audio in ")
    assert done.out.splitlines()[1] == "  stems/a�b�[31m�/vocals.wav"
    assert "\x1b" not in done.out + done.err
