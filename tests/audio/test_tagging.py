"""Tags of key and tempo in copies of songs."""

import struct
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from stemsplitter.audio.encode import StemWriter
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.tagging import BPM, KEY, copy_with_tags
from stemsplitter.audio.tags import Tags
from stemsplitter.errors import AudioError, OutputError

RATE = 44_100
VALUES = {BPM: "120", KEY: "F#m"}
SOUND = (np.random.default_rng(0).standard_normal((2, 5001)) * 0.1).astype(np.float32)


def write(path: Path, tags: Tags | None = None) -> Path:
    if path.suffix == ".aiff":
        soundfile.write(path, SOUND.T, RATE, subtype="PCM_24")
        return path
    with StemWriter(path, OutputFormat.parse(path.suffix[1:]), RATE, 2, tags) as writer:
        writer.write(SOUND)
        writer.commit()
    return path


def metadata(path: Path) -> dict[str, str]:
    with av.open(str(path)) as song:
        return {name.lower(): text for name, text in song.metadata.items()}


def sound(path: Path) -> bytes:
    """Return the packets of the sound."""
    with av.open(str(path)) as song:
        return b"".join(bytes(packet) for packet in song.demux(song.streams.audio[0]))


@pytest.mark.parametrize("format", ["mp3", "flac", "wav", "aiff"])
def test_copy_has_tags_and_the_same_sound(tmp_path: Path, format: str) -> None:
    song = write(tmp_path / f"a.{format}", Tags(title="Lied", artist="Jemand"))
    first, second = tmp_path / f"b.{format}", tmp_path / f"c.{format}"
    copy_with_tags(song, first, VALUES)
    found, before = metadata(first), metadata(song)
    assert (
        found.pop("tbpm", None) or found.pop("bpm"),
        found.pop("tkey", None) or found.pop("initialkey"),
    ) == ("120", "F#m")
    assert found == before and (format in ("wav", "aiff") or found["title"] == "Lied")
    assert sound(first) == sound(song)
    copy_with_tags(first, second, {BPM: "99"})  # the key stays
    found = metadata(second)
    assert (
        found.pop("tbpm", None) or found.pop("bpm"),
        found.pop("tkey", None) or found.pop("initialkey"),
    ) == ("99", "F#m")
    assert sound(second) == sound(song)
    copy_with_tags(second, tmp_path / "same", {})
    assert (tmp_path / "same").stat().st_size <= second.stat().st_size


def test_other_frames_of_id3_stay(tmp_path: Path) -> None:
    plain = write(tmp_path / "a.mp3").read_bytes()
    audio = plain[10 + plain[8] * 128 + plain[9] :] if plain[:3] == b"ID3" else plain
    frames = [
        b"GEOB" + struct.pack(">IH", 300, 0) + bytes(300),
        b"TBPM" + struct.pack(">IH", 3, 0) + b"\x0099",
    ]
    body = b"".join(frames) + bytes(64)
    song = tmp_path / "b.mp3"
    song.write_bytes(b"ID3\x03\0\0" + bytes([0, 0, len(body) >> 7, len(body) & 127]) + body + audio)
    copy_with_tags(song, tmp_path / "c.mp3", VALUES)
    copy = (tmp_path / "c.mp3").read_bytes()
    assert copy.endswith(audio) and frames[0] in copy and frames[1] not in copy
    assert metadata(tmp_path / "c.mp3")["tbpm"] == "120"


@pytest.mark.parametrize(
    "name", ["a.ogg", "a.m4a", "text.mp3", "old.mp3", "cut.flac", "cut.wav", "damaged.mp3"]
)
def test_file_that_cannot_be_tagged_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    contents = {
        "text.mp3": b"no song",
        "old.mp3": b"ID3\x02\0\0\0\0\0\x10" + bytes(100),
        "damaged.mp3": b"ID3\x04\0\0\0\0\0\x10TIT2\0\0\x7f\x7f\0\0" + bytes(100),
        "cut.flac": b"fLaC\0\0\0",
        "cut.wav": b"RIFF\xff\xff\xff\xffWAVEfmt ",
    }
    if name in contents:
        path.write_bytes(contents[name])
    else:
        write(path)
    with pytest.raises(
        AudioError, match=r"gets no tags of key and tempo because .+: convert it to FLAC or MP3\.$"
    ):
        copy_with_tags(path, tmp_path / "copy", VALUES)
    assert not (tmp_path / "copy").exists()


def test_missing_file_and_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="cannot be read"):
        copy_with_tags(tmp_path / "none.mp3", tmp_path / "copy.mp3", VALUES)
    with pytest.raises(OutputError):
        copy_with_tags(write(tmp_path / "a.flac"), tmp_path / "none" / "copy.flac", VALUES)
