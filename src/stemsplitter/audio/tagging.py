"""Tags of key and tempo, written into copies of songs whose other bytes stay as they are."""

import os
import shutil
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from stemsplitter.audio.comments import NAMES, with_comments
from stemsplitter.audio.mp4_boxes import copy_with_items
from stemsplitter.audio.ogg_comments import copy_with_comments
from stemsplitter.errors import AudioError
from stemsplitter.files.atomic import AtomicFile, output_error
from stemsplitter.files.names import shown

_HEADER = 10  # bytes of the header of an ID3 tag or frame
_COMMENT_BLOCK = 4  # type of FLAC's block of comments
_LARGEST_TAG = 1 << 28


def copy_with_tags(source: Path, target: Path, values: Mapping[str, str]) -> None:
    """Copy a song to ``target`` with the tags :data:`BPM` and :data:`KEY`; audio and other tags stay byte for byte.

    MP3 gets frames of ID3v2 (id3.org), WAV and AIFF a chunk with such a tag, FLAC and Ogg comments, MP4 items of
    iTunes's metadata.

    Raises:
        AudioError: the source cannot be read, or has no place for these tags.
        OutputError: the copy cannot be written.
    """
    try:
        song = source.open("rb")
    except OSError as error:
        raise AudioError(f"{shown(source)} cannot be read: {error.strerror}.") from error
    texts = {NAMES[name]: text for name, text in values.items()}
    with song, AtomicFile(target) as copy:
        head = song.read(12)
        song.seek(0)
        try:
            if head[:4] == b"fLaC":
                _copy_flac(song, copy.file, texts)
            elif head[:4] == b"OggS":
                copy_with_comments(song, copy.file, texts)
            elif head[4:8] == b"ftyp":
                copy_with_items(song, copy.file, values)
            elif (head[:4], head[8:]) in ((b"RIFF", b"WAVE"), (b"FORM", b"AIFF"), (b"FORM", b"AIFC")):
                _copy_chunks(song, copy.file, values, "<" if head[:4] == b"RIFF" else ">")
            elif head[:3] == b"ID3" or (head[:1] == b"\xff" and head[1] & 0xE6 == 0xE2):
                copy.file.write(_tagged(_read_tag(song), values))
            else:
                raise ValueError("its format has no such tags that can be written")
            shutil.copyfileobj(song, copy.file, 1 << 20)
        except (ValueError, struct.error, IndexError) as error:
            reason = error.args[0] if type(error) is ValueError else "its tags are damaged"
            raise AudioError(
                f"{shown(source)} gets no tags of key and tempo because {reason}: convert it to FLAC or MP3."
            ) from error
        except OSError as error:
            raise output_error(target, error) from error
        copy.commit()


def _read_tag(song: BinaryIO) -> bytes:
    """Read the ID3v2 tag at the start of a file; empty if there is none."""
    start = song.tell()
    head = song.read(_HEADER)
    if head[:3] != b"ID3":
        song.seek(start)
        return b""
    size = _unsafe(head[6:10])
    tag = head + song.read(size)
    if head[5] & 0x10:  # a footer repeats the header
        song.seek(_HEADER, os.SEEK_CUR)
    return tag


def _tagged(tag: bytes, values: Mapping[str, str]) -> bytes:
    """Return an ID3v2 tag with the frames of ``values`` in place of earlier ones. Raises ValueError."""
    version = tag[3] if tag else 4
    if version not in (3, 4) or (tag and tag[5] & 0xC0):
        raise ValueError("its ID3 tag has an old or unusual form")
    frames = [frame for frame in _frames(tag[_HEADER:], version) if frame[:4].decode("latin-1") not in values]
    for name, text in values.items():
        content = b"\0" + text.encode("latin-1")  # shorter than 128 bytes, where all sizes are the same
        frames.append(name.encode() + struct.pack(">IH", len(content), 0) + content)
    body = b"".join(frames)
    if len(body) >= _LARGEST_TAG:
        raise ValueError("its ID3 tag is full")
    return b"ID3" + bytes([version, 0, 0]) + _safe(len(body)) + body


def _frames(body: bytes, version: int) -> Iterator[bytes]:
    at = 0
    while at + _HEADER <= len(body) and body[at]:  # zeros are padding
        size = _unsafe(body[at + 4 : at + 8]) if version == 4 else int.from_bytes(body[at + 4 : at + 8])
        end = at + _HEADER + size
        if end > len(body):
            raise ValueError("its tags are damaged")
        yield body[at:end]
        at = end


def _safe(size: int) -> bytes:
    """Write a size in four bytes of seven bits."""
    return bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))


def _unsafe(size: bytes) -> int:
    return sum((byte & 0x7F) << shift for byte, shift in zip(size, (21, 14, 7, 0), strict=True))


def _copy_flac(song: BinaryIO, copy: BinaryIO, texts: Mapping[str, str]) -> None:
    """Copy the blocks before the audio, with new comments."""
    copy.write(song.read(4))
    blocks, is_last = [], False
    while not is_last:
        head = song.read(4)
        is_last = bool(head[0] & 0x80)
        blocks.append((head[0] & 0x7F, song.read(int.from_bytes(head[1:]))))
    if not any(kind == _COMMENT_BLOCK for kind, _ in blocks):
        blocks.insert(1, (_COMMENT_BLOCK, bytes(8)))  # the first block is that of the format
    for number, (kind, content) in enumerate(blocks, start=1):
        block = with_comments(content, texts) if kind == _COMMENT_BLOCK else content
        if len(block) >= 1 << 24:
            raise ValueError("its comments are full")
        copy.write(bytes([kind | 0x80 * (number == len(blocks))]) + len(block).to_bytes(3) + block)


def _copy_chunks(song: BinaryIO, copy: BinaryIO, values: Mapping[str, str], order: str) -> None:
    """Copy the chunks of a WAV or AIFF file but for that of the tag, which comes last."""
    name = b"id3 " if order == "<" else b"ID3 "
    form, size, kind = struct.unpack(order + "4sI4s", song.read(12))
    end, tag = 8 + size, b""
    if end > os.fstat(song.fileno()).st_size:
        raise ValueError("its header does not tell its length")
    copy.write(struct.pack(order + "4sI4s", form, 0, kind))
    while song.tell() + 8 <= end:
        head = song.read(8)
        length = struct.unpack(order + "I", head[4:])[0]
        padded = length + length % 2
        if head[:4].lower() == b"id3 ":
            tag = song.read(length)
            song.seek(padded - length, os.SEEK_CUR)
        else:
            copy.write(head)
            _copy(song, copy, padded)
    new = _tagged(tag, values)
    copy.write(name + struct.pack(order + "I", len(new)) + new + bytes(len(new) % 2))
    total = copy.tell() - 8
    if total >= 1 << 32:
        raise ValueError("it is full")
    copy.seek(4)
    copy.write(struct.pack(order + "I", total))
    copy.seek(0, os.SEEK_END)


def _copy(song: BinaryIO, copy: BinaryIO, count: int) -> None:
    while count and (part := song.read(min(1 << 20, count))):
        copy.write(part)
        count -= len(part)
