"""Tags of key and tempo in copies of songs."""

import re
import struct
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from stemsplitter.audio.decode import open_source
from stemsplitter.audio.encode import StemWriter
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.tagging import copy_with_tags
from stemsplitter.audio.tags import BPM, KEY, Tags
from stemsplitter.errors import AudioError, OutputError

RATE = 44_100
VALUES = {BPM: "120", KEY: "F#m"}
FAST_START = {"movflags": "+faststart"}
SOUND = (np.random.default_rng(0).standard_normal((2, 5001)) * 0.1).astype(np.float32)


def write(path: Path, tags: Tags | None = None) -> Path:
    if path.suffix == ".aiff":
        soundfile.write(path, SOUND.T, RATE, subtype="PCM_24")
        return path
    fmt = OutputFormat.parse(path.suffix[1:])
    with StemWriter(path, fmt, fmt.supported_rate(RATE), 2, tags) as writer:
        writer.write(SOUND)
        writer.commit()
    return path


def metadata(path: Path) -> dict[str, str]:
    with av.open(str(path)) as song:
        found = {**song.streams.audio[0].metadata, **song.metadata}
    if tempo := re.search(rb"tmpo.{4}data\0\0\0\x15.{4}(..)", path.read_bytes(), re.DOTALL):
        found["tmpo"] = str(int.from_bytes(tempo[1]))  # which FFmpeg does not read
    return {name.lower(): text for name, text in found.items() if name not in ("encoder", "language")}


def take(found: dict[str, str]) -> tuple[str | None, ...]:
    """Remove tempo and key from tags, and return them."""
    return tuple(
        next((found.pop(name) for name in names if name in found), None)
        for names in (("tbpm", "bpm", "tmpo"), ("tkey", "initialkey"))
    )


def sound(path: Path) -> bytes:
    """Return the packets of the sound."""
    with av.open(str(path)) as song:
        return b"".join(bytes(packet) for packet in song.demux(song.streams.audio[0]))


@pytest.mark.parametrize("format", ["mp3", "flac", "wav", "aiff", "m4a", "alac", "ogg", "opus"])
def test_copy_has_tags_and_the_same_sound(
    tmp_path: Path, picture: Callable[[str], bytes], format: str
) -> None:
    cover = picture("png")
    tags = Tags(title="Lied", artist="Jemand", cover=cover, cover_mime="image/png")
    song = write(tmp_path / f"a.{format}", tags)
    first, second = tmp_path / f"b.{format}", tmp_path / f"c.{format}"
    copy_with_tags(song, first, VALUES)
    found, before = metadata(first), metadata(song)
    assert take(found) == ("120", "F#m")
    assert found == before and (format == "aiff" or found["title"] == "Lied")
    assert sound(first) == sound(song)
    with open_source(first) as source:
        assert format == "aiff" or source.info.tags.cover == cover
        assert (source.info.tags.bpm, source.info.tags.key) == ("120", "F#m")
        assert sum(block.shape[1] for block in source.blocks()) == 5001
        assert source.warnings == []
    copy_with_tags(first, second, {BPM: "99"})  # the key stays
    assert take(metadata(second)) == ("99", "F#m")
    assert sound(second) == sound(song)
    copy_with_tags(second, tmp_path / "same", {})
    assert (tmp_path / "same").stat().st_size <= second.stat().st_size


def test_sound_after_the_tags_of_an_mp4_is_found(tmp_path: Path) -> None:
    song = tmp_path / "a.m4a"
    with (
        av.open(str(write(tmp_path / "last.m4a"))) as source,
        av.open(str(song), "w", options=FAST_START) as target,
    ):
        stream = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    data = song.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    copy_with_tags(song, tmp_path / "b.m4a", VALUES)
    assert take(metadata(tmp_path / "b.m4a")) == ("120", "F#m")
    assert sound(tmp_path / "b.m4a") == sound(song)


@pytest.mark.parametrize("format", ["ogg", "opus"])
def test_songs_that_follow_in_an_ogg_file_stay(tmp_path: Path, format: str) -> None:
    song = write(tmp_path / f"a.{format}")
    both, copy = tmp_path / f"both.{format}", tmp_path / f"copy.{format}"
    both.write_bytes(song.read_bytes() + b"garbage" + song.read_bytes())
    long = {BPM: "120", KEY: "F" * 70_000}  # more pages
    copy_with_tags(both, copy, long)
    assert copy.read_bytes().endswith(b"garbage" + song.read_bytes())
    assert copy.read_bytes().count(b"OggS") > both.read_bytes().count(b"OggS")
    with open_source(copy) as source:
        assert source.info.tags.bpm == "120"
        assert sum(block.shape[1] for block in source.blocks()) == 10_002
    copy_with_tags(copy, tmp_path / f"less.{format}", {BPM: "120", KEY: "Am"})  # fewer pages
    with open_source(tmp_path / f"less.{format}") as source:
        assert (source.info.tags.bpm, source.info.tags.key) == ("120", "Am")
        assert sum(block.shape[1] for block in source.blocks()) == 10_002


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
    "name",
    [
        "text.mp3",
        "old.mp3",
        "cut.flac",
        "cut.wav",
        "damaged.mp3",
        "cut.m4a",
        "parts.m4a",
        "other.m4a",
        "cut.ogg",
        "a.ogg",
    ],
)
def test_file_that_cannot_be_tagged_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    contents = {
        "text.mp3": b"no song",
        "old.mp3": b"ID3\x02\0\0\0\0\0\x10" + bytes(100),
        "damaged.mp3": b"ID3\x04\0\0\0\0\0\x10TIT2\0\0\x7f\x7f\0\0" + bytes(100),
        "cut.flac": b"fLaC\0\0\0",
        "cut.m4a": b"\0\0\0\x08ftyp\0\0\0\x09mdatx",
        "parts.m4a": b"\0\0\0\x08ftyp\0\0\0\x08moov\0\0\0\x08moof",
        "other.m4a": b"\0\0\0\x08ftyp\0\0\0\x18moov\0\0\0\x10udta\0\0\0\x08meta",
        "cut.ogg": write(tmp_path / "whole.ogg").read_bytes()[:70],
        "a.ogg": b"OggS\0\2" + bytes(20) + b"\1\7\x80theora",
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
