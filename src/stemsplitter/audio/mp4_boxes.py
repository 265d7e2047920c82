"""Boxes of MP4 files that are changed: user data and items of metadata (ISO/IEC 14496-12).

The names and forms of the items are those of iTunes: tempo is ``tmpo``, and a key is a free item, ``initialkey``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO, NamedTuple

import numpy as np

from stemsplitter.audio.tags import BPM, KEY
from stemsplitter.audio.views import file_size, read_at

Change = Callable[[bytes], bytes]

_LONGEST_MOVIE = 256 << 20
_MOST_BOXES = 100_000
_KEY_NAME = b"initialkey"
_INTEGER, _UTF8 = 21, 1  # types of the data of items
_TABLES = {b"stco": ">u4", b"co64": ">u8"}  # positions in the file, of chunks of sound
_PARENTS = (b"trak", b"mdia", b"minf", b"stbl")


class Box(NamedTuple):
    """Kind and place of a box: from ``start`` to ``end``, its content from ``content`` on."""

    kind: bytes
    start: int
    content: int
    end: int


def box(kind: bytes, content: bytes) -> bytes:
    """Encode a box."""
    return (8 + len(content)).to_bytes(4) + kind + content


def with_user_data(movie: bytes, kind: bytes, content: bytes) -> bytes:
    """Return the content of a movie box with another box in its user data."""
    return _changed(movie, b"udta", lambda found: found + box(kind, content))


def with_items(movie: bytes, values: Mapping[str, str]) -> bytes:
    """Return the content of a movie box with tempo and key, the keys of ``values``, in place of earlier ones.

    Raises:
        ValueError: the movie is damaged, or has metadata of another form.
    """
    new_metadata = bytes(4) + box(b"hdlr", bytes(8) + b"mdirappl" + bytes(9)) + box(b"ilst", b"")

    def change_metadata(found: bytes) -> bytes:
        if found[:4] != bytes(4) or found[8:12] != b"hdlr" or found[20:24] != b"mdir":
            raise ValueError("it has metadata of another form")
        return found[:4] + _changed(found[4:], b"ilst", lambda items: _with_items(items, values))

    return _changed(movie, b"udta", lambda found: _changed(found, b"meta", change_metadata, new_metadata))


def change_last_movie(file: BinaryIO, change: Change) -> None:
    """Change the content of the movie box of a finished MP4 whose movie box is last, so that no sound moves."""
    size = file.seek(0, 2)
    at = 0
    while True:
        file.seek(at)
        movie = _header(file.read(16), at, size)
        if movie.kind == b"moov":
            break
        at = movie.end
    if movie.end != size or size - movie.start > _LONGEST_MOVIE:
        raise ValueError("the MP4 does not end with a movie box of a supported size")
    file.seek(movie.content)
    changed = box(b"moov", change(file.read(movie.end - movie.content)))
    file.seek(movie.start)
    file.truncate()
    file.write(changed)
    file.flush()


def copy_with_items(song: BinaryIO, copy: BinaryIO, values: Mapping[str, str]) -> None:
    """Copy an MP4 up to the end of its movie box, which gets tempo and key; the rest of ``song`` may follow as it is.

    Raises:
        ValueError: it is damaged, or has no place for them.
    """
    size = file_size(song)
    boxes = list(_top_level(song, size))
    movies = [each for each in boxes if each.kind == b"moov"]
    if any(each.kind == b"moof" for each in boxes):
        raise ValueError("it consists of fragments")
    if len(movies) != 1 or movies[0].end - movies[0].start > _LONGEST_MOVIE:
        raise ValueError("its tags are damaged")
    movie = movies[0]
    changed = with_items(read_at(song, movie.content, movie.end - movie.content), values)
    grown = len(changed) + 8 - (movie.end - movie.start)
    song.seek(0)
    left = movie.start
    while left and (part := song.read(min(1 << 20, left))):
        copy.write(part)
        left -= len(part)
    copy.write(box(b"moov", _moved(changed, movie.end, grown)))
    song.seek(movie.end)


def _top_level(song: BinaryIO, size: int) -> Iterator[Box]:
    at = 0
    for _ in range(_MOST_BOXES):
        if at + 8 > size:
            return
        head = read_at(song, at, 16)
        if head[:4] == bytes(4) and head[4:8] != b"moov":
            return  # up to the end of the file
        found = _header(head, at, max(size, at + 8))
        yield found
        at = found.end


def _header(head: bytes, at: int, end: int) -> Box:
    """Parse the header of a box at ``at`` that ends before ``end`` (4.2)."""
    length, content = int.from_bytes(head[:4]), at + 8
    if length == 1:
        length, content = int.from_bytes(head[8:16]), at + 16
    if not content - at <= length <= end - at:
        raise ValueError("a box of the MP4 has an impossible length")
    return Box(head[4:8], at, content, at + length)


def _children(content: bytes) -> Iterator[Box]:
    at = 0
    while at + 8 <= len(content):  # user data may end with four zeros
        found = _header(content[at : at + 16], at, len(content))
        yield found
        at = found.end


def _changed(content: bytes, kind: bytes, change: Change, new: bytes = b"") -> bytes:
    """Return boxes with the first of a kind changed, or ``new`` changed as another box after the last."""
    end = 0
    for each in _children(content):
        if each.kind == kind:
            changed = box(kind, change(content[each.content : each.end]))
            return content[: each.start] + changed + content[each.end :]
        end = each.end
    return content[:end] + box(kind, change(new)) + content[end:]


def _with_items(items: bytes, values: Mapping[str, str]) -> bytes:
    kept = [items[each.start : each.end] for each in _children(items) if _name(items, each) not in values]
    return b"".join(kept) + b"".join(_item(name, text) for name, text in values.items())


def _name(items: bytes, item: Box) -> str:
    """Return :data:`BPM` or :data:`KEY` if the item is that, else an empty text."""
    if item.kind == b"tmpo":
        return BPM
    content = items[item.content : item.end]
    if item.kind == b"----":
        for each in _children(content):
            if each.kind == b"name" and content[each.content + 4 : each.end].lower() == _KEY_NAME:
                return KEY
    return ""


def _item(name: str, text: str) -> bytes:
    if name == BPM:
        tempo = min(round(float(text)), 0xFFFF)
        return box(b"tmpo", box(b"data", _INTEGER.to_bytes(4) + bytes(4) + tempo.to_bytes(2)))
    names = box(b"mean", bytes(4) + b"com.apple.iTunes") + box(b"name", bytes(4) + _KEY_NAME)
    return box(b"----", names + box(b"data", _UTF8.to_bytes(4) + bytes(4) + text.encode()))


def _moved(content: bytes, end: int, by: int) -> bytes:
    """Return the content of a box whose chunks of sound after the position ``end`` moved by some bytes."""
    parts, at = [], 0
    for each in _children(content):
        inner = content[each.content : each.end]
        if each.kind in _PARENTS:
            inner = _moved(inner, end, by)
        elif each.kind in _TABLES:
            inner = _moved_table(inner, _TABLES[each.kind], end, by)
        parts.append(content[each.start : each.content] + inner)
        at = each.end
    return b"".join(parts) + content[at:]


def _moved_table(table: bytes, kind: str, end: int, by: int) -> bytes:
    count = int.from_bytes(table[4:8])
    width = int(kind[-1])
    positions = np.frombuffer(table[8 : 8 + count * width], kind).astype(np.int64)
    positions[positions >= end] += by
    if width == 4 and positions.max(initial=0) >= 1 << 32:
        raise ValueError("it is full")
    return table[:8] + positions.astype(kind).tobytes() + table[8 + count * width :]
